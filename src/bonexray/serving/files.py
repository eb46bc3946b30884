"""Many X-ray files: found in folders, answered one after the other into a table, with heat maps beside it."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from matplotlib import colormaps
from PIL import Image

from bonexray.errors import BonexrayError
from bonexray.files import atomic_file
from bonexray.serving.predictor import Answer

COLOURS, OPACITY = "cividis", 0.55  # as in the study's figures of heat maps
SHOWN_PX = 384  # side of an image in a heat map's file, at least


def image_files(given: Iterable[Path]) -> list[Path]:
    """The files that are meant: those named, and in folders all that are not hidden, sorted, each once.

    Args:
        given: files and folders, in any order.

    Raises:
        BonexrayError: one of them does not exist, or there is no file among them.
    """
    found: dict[Path, None] = {}
    for path in given:
        if not path.exists():
            raise BonexrayError(str(path), expected="a file or a folder", received="neither", do="correct the path")
        found |= dict.fromkeys(_visible_below(path) if path.is_dir() else [path])
    if not found:
        raise BonexrayError("the folders", expected="X-ray files", received="none", do="name others")
    return list(found)


def write_table(
    paths: Sequence[Path], answers: Iterable[Answer], classes: Sequence[str], out: Path | None, heat: Path | None
) -> dict[Path, str]:
    """Write a row an X-ray: its path, the predicted class, the probabilities, and its heat map's file.

    Args:
        paths: of the X-rays.
        answers: one each; read one after the other, so that memory does not follow their number.
        classes: the class map.
        out: the CSV; None writes to standard output.
        heat: the folder of heat maps, made where it is missing; None writes none.

    Returns:
        The files that could not be read, each with its reason.
    """
    bad, taken = {}, set()
    if heat:
        heat.mkdir(parents=True, exist_ok=True)
    with _written(out) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["path", "predicted", *(f"prob_{name}" for name in classes), *(["heatmap"] if heat else [])])
        for path, answer in zip(paths, answers, strict=True):
            if answer.reason is not None:
                bad[path] = answer.reason
                continue
            drawn = [_drawn(answer, heat / _free_name(path, taken))] if heat else []
            table.writerow([path.as_posix(), answer.label, *(f"{p:.8f}" for p in answer.probabilities), *drawn])
    return bad


def overlay(image: np.ndarray, heat: np.ndarray) -> Image.Image:
    """An image beside itself with its heat map laid over it, bright where most speaks for the answer.

    Args:
        image: float (px, px) in [0, 1], what the network saw.
        heat: float (px, px) in [0, 1]; where all of it is alike, it shows no place and is left out.
    """
    gray = np.repeat(image[..., None], 3, axis=2)
    coloured = OPACITY * colormaps[COLOURS](heat)[..., :3] + (1 - OPACITY) * gray if np.ptp(heat) > 0 else gray
    levels = np.rint(np.concatenate([gray, coloured], axis=1).clip(0, 1) * 255).astype(np.uint8)
    times = -(-SHOWN_PX // len(image))
    return Image.fromarray(levels).resize((times * levels.shape[1], times * levels.shape[0]), Image.Resampling.NEAREST)


def _visible_below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


@contextmanager
def _written(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with atomic_file(out) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _drawn(answer: Answer, file: Path) -> str:
    overlay(answer.image, answer.heat).save(file)
    return file.as_posix()


def _free_name(path: Path, taken: set[str]) -> str:
    """The X-ray's own name with another ending, numbered where two have the same."""
    name, number = f"{path.stem}.png", 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}.png"
    taken.add(name)
    return name
