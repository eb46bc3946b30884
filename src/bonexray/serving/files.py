"""Prediction of many files: find them in folders, and write a table and heat maps."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from matplotlib import colormaps
from PIL import Image

from bonexray.base.errors import BonexrayError
from bonexray.base.files import atomic_file
from bonexray.images.radiograph import UnreadableImage
from bonexray.serving.predictor import Answer

COLOURS, OPACITY = "cividis", 0.55  # as in the study's figures of heat maps
MIN_SIDE_PX = 384  # of each half of a heat map's file
Column = Callable[[Path, Answer], Path]  # writes a file for an X-ray; raises UnreadableImage if it cannot


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Return the named files and all visible files in the named folders, sorted within each folder, each once.

    Args:
        paths: files and folders, in any order.

    Raises:
        BonexrayError: one of them does not exist, or there is no file among them.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise BonexrayError(str(path), expected="a file or a folder", received="neither", do="correct the path")
        files |= dict.fromkeys(_visible_below(path) if path.is_dir() else [path])
    if not files:
        raise BonexrayError("the folders", expected="X-ray files", received="none", do="name other folders")
    return list(files)


class FreeNames:
    """Names of files in a folder, one for each X-ray; a name that is taken gets a number.

    Args:
        folder: created with its first file.
        suffix: such as `.png`.
    """

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix, self._taken = folder, suffix, set()

    def of(self, path: Path) -> Path:
        """Return the file for an X-ray, named after it."""
        name, number = f"{path.stem}{self._suffix}", 1
        while name in self._taken:
            number += 1
            name = f"{path.stem}-{number}{self._suffix}"
        self._taken.add(name)
        return self._folder / name


def drawings(folder: Path) -> Column:
    """Return a column of heat maps beside their images, written into a folder; answers need a heat map."""
    names = FreeNames(folder, ".png")

    def draw(path: Path, answer: Answer) -> Path:
        target = names.of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        overlay(answer.image, answer.heat).save(target)
        return target

    return draw


def write_table(
    paths: Sequence[Path],
    answers: Iterable[Answer],
    classes: Sequence[str],
    out: Path | None,
    columns: Mapping[str, Column],
) -> dict[Path, str]:
    """Write one row per X-ray: path, predicted class, probabilities, and the files of the other columns.

    Args:
        paths: the files of the X-rays.
        answers: one prediction per file; consumed one at a time.
        classes: the class map.
        out: the CSV file; None writes to standard output.
        columns: further columns by name, each a function that writes a file for an X-ray and returns its path.

    Returns:
        The files that are unreadable, or unusable for a column, each with its reason.
    """
    bad = {}
    with _open_table(out) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["path", "predicted", *(f"prob_{name}" for name in classes), *columns])
        for path, answer in zip(paths, answers, strict=True):
            if answer.reason is not None:
                bad[path] = answer.reason
                continue
            try:
                files = [write(path, answer).as_posix() for write in columns.values()]
            except UnreadableImage as error:
                bad[path] = str(error)
                continue
            table.writerow([path.as_posix(), answer.label, *(f"{p:.8f}" for p in answer.probabilities), *files])
    return bad


def overlay(image: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Return an image next to the same image under its heat map, bright where the evidence for the class is.

    Args:
        image: float (px, px) in [0, 1], the network's input.
        heat: float (px, px) in [0, 1]; a constant one is not drawn.
    """
    gray = np.repeat(image[..., None], 3, axis=2)
    coloured = OPACITY * colormaps[COLOURS](heat)[..., :3] + (1 - OPACITY) * gray if np.ptp(heat) > 0 else gray
    levels = np.rint(np.concatenate([gray, coloured], axis=1).clip(0, 1) * 255).astype(np.uint8)
    times = -(-MIN_SIDE_PX // len(image))
    return Image.fromarray(levels).resize((times * levels.shape[1], times * levels.shape[0]), Image.Resampling.NEAREST)


def _visible_below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


@contextmanager
def _open_table(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with atomic_file(out) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        yield stream
