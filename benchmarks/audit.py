"""Measure the search for copies: what it finds, and how long it takes.

    python benchmarks/audit.py                      # time, for 10 000 simulated images with 2 % planted copies
    python benchmarks/audit.py --table --images 12 --folders knees=FOLDER limbs=FOLDER --into docs/your-xrays.md

The first generates images that share blurred outlines and differ in their fine structure, so that each has dozens of others
of similar appearance: harder for the search than a cohort of different limbs, and faster to generate.

The second changes images of each folder, whole and cut to their middle, and simulated ones, in every way of a list, and
counts copies that are found and images of different files that are taken for copies. Each change is searched on its
own, so that no copy is found through another. Writes metrics/audit.csv, and with --into the table into that page.
"""

import argparse
import io
import time
from collections import Counter
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from bonexray.base.files import atomic_file
from bonexray.base.hashing import sha256_of
from bonexray.compute import Compute
from bonexray.images.reading import bounded, read_image, resized
from bonexray.phantom.simulation import simulate
from bonexray.progress import progress
from bonexray.results.markdown import with_section
from bonexray.split.lookalikes import find_lookalikes
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import THUMB_PX, thumbnail

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Audit(neighbours=8, likeness=0.7, crossing="regroup")
SEED = 7
WHOLE_PX, MIDDLE_PX, MIDDLE = 512, 256, 0.6  # longer side of an image, of its middle, and the share that the middle is
UNRELATED = 20  # times as many images are searched for wrong pairs as for copies
PX, OUTLINES, OUTLINE_PX = 160, 200, 5.0
STRUT_PX, DEPTH, NOISE = (0.9, 3.0), 0.12, 0.02  # scales and strength of the fine structure; read-out noise


def main() -> None:
    """Measure the time, or with --table what is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--planted", type=float, default=0.02, help="share of the images")
    parser.add_argument("--table", action="store_true", help="measure what is found instead of the time")
    parser.add_argument("--folders", nargs="*", default=[], help="name=folder of X-rays, of one patient each")
    parser.add_argument("--into", type=Path, help="a Markdown file to write the table into")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for metrics/")
    options = parser.parse_args()
    if options.table:
        write(measure(sets(options.folders, UNRELATED * options.images), options.images), options)
    else:
        time_search(options)


def time_search(options: argparse.Namespace) -> None:
    """Generate images, plant copies, search, and print the time and the share found."""
    thumbnails, planted = generate(options.images, round(options.images * options.planted))
    start, before = time.perf_counter(), time.process_time()
    pairs = {(pair.one, pair.other) for pair in find_lookalikes(thumbnails, SETTINGS, LOCAL)}
    seconds, cpu = time.perf_counter() - start, time.process_time() - before
    print(f"{len(thumbnails)} images: {seconds:.0f} s")
    print(f"CPU time: {cpu:.0f} s, which depends less on other work on the machine")
    print(
        f"planted copies found: {len(pairs & planted.keys())} of {len(planted)}; other pairs: {len(pairs - set(planted))}"
    )
    total, found = Counter(planted.values()), Counter(planted[pair] for pair in pairs & planted.keys())
    print("by kind: " + ", ".join(f"{kind} {found[kind]} of {total[kind]}" for kind in COPIES if total[kind]))


def sets(folders: list[str], count: int) -> dict[str, list[np.ndarray]]:
    """Return the images of every kind, float32 (height, width) in [0, 1], each of another file or patient."""
    images = {}
    for name, folder in (entry.split("=", 1) for entry in folders):
        files = {sha256_of(path): path for path in sorted(Path(folder).rglob("*")) if is_picture(path)}
        sources = {path.name.split(".rf.")[0]: path for path in sorted(files.values())}  # augmented copies of one file
        chosen = np.random.default_rng(SEED).permutation(sorted(sources))[:count]
        whole = [read_image(sources[name]) for name in progress(chosen, name, len(chosen))]
        images[name] = [bounded(pixels, WHOLE_PX) for pixels in whole]
        images[f"{name}, middle"] = [middle(pixels) for pixels in whole]
    patients = {image.patient: image.noisy for image in simulate(count, 80, 120.0, 2.0, SEED)}
    return {**images, "phantoms": list(patients.values())}


def is_picture(path: Path) -> bool:
    """Return whether a file's name is that of a picture."""
    return path.suffix.lower() in {".png", ".jpg", ".jpeg"}


def middle(pixels: np.ndarray) -> np.ndarray:
    """Return the square in the middle of an image."""
    height, width = pixels.shape
    side = int(MIDDLE * min(height, width))
    top, left = (height - side) // 2, (width - side) // 2
    return bounded(np.ascontiguousarray(pixels[top : top + side, left : left + side]), MIDDLE_PX)


def measure(images: dict[str, list[np.ndarray]], count: int) -> pd.DataFrame:
    """Return one row for each kind of images and each change: the shares found and falsely joined."""
    rows = []
    for kind, pixels in images.items():
        originals = [thumbnail(image) for image in pixels]
        wrong, pairs = len(joined(originals)), len(originals) * (len(originals) - 1) // 2
        rows.append({"images": kind, "change": "none", "n": pairs, "share": wrong / pairs})
        some = min(count, len(pixels))
        planted = {(row, some + row) for row in range(some)}
        for change, steps in CHANGES.items():
            rng = np.random.default_rng(SEED)
            changed = [thumbnail(reduce(lambda image, step: step(image, rng), steps, image)) for image in pixels[:some]]
            found = joined([*originals[:some], *changed])
            rows.append({"images": kind, "change": change, "n": some, "share": len(found & planted) / some})
    return pd.DataFrame(rows)


def joined(thumbnails: list[np.ndarray]) -> set[tuple[int, int]]:
    """Return the pairs that the search takes for copies."""
    return {(pair.one, pair.other) for pair in find_lookalikes(np.stack(thumbnails), SETTINGS, LOCAL)}


def markdown(table: pd.DataFrame) -> str:
    """Return the table in Markdown: changes by kinds of images."""
    kinds = list(dict.fromkeys(table["images"]))
    wide = table.pivot(index="change", columns="images", values="share")
    sizes = table.pivot(index="change", columns="images", values="n")
    lines = [f"| found | {' | '.join(kinds)} |", "| --- |" + " --: |" * len(kinds)]
    lines += [f"| {change} | {' | '.join(f'{wide.loc[change, kind]:.0%}' for kind in kinds)} |" for change in CHANGES]
    wrong = [
        f"{round(wide.loc['none', kind] * sizes.loc['none', kind])} of {sizes.loc['none', kind]}" for kind in kinds
    ]
    lines += [f"| unrelated pairs taken for copies | {' | '.join(wrong)} |"]
    note = f"n = {sizes.drop('none').to_numpy().max()} copies for each change and kind. The middle is cut out to {MIDDLE:.0%} of the shorter side."
    return "\n".join([*lines, "", note])


def write(table: pd.DataFrame, options: argparse.Namespace) -> None:
    """Write metrics/audit.csv, and the table into a page."""
    with atomic_file(options.out / "metrics" / "audit.csv") as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    text = markdown(table)
    if options.into:
        page = options.into.read_text(encoding="utf-8")
        options.into.write_text(with_section(page, "copies", text), encoding="utf-8")
    print(text)


def generate(images: int, copies: int) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Return thumbnails, the copies last, and the kind of each planted copy by (row of the original, row of the copy)."""
    originals, kinds = images - copies, list(COPIES)
    thumbnails, planted = np.empty((images, THUMB_PX, THUMB_PX), np.uint8), {}
    for number, pixels in enumerate(progress(radiographs(originals), "generating", originals)):
        thumbnails[number] = thumbnail(pixels)
        if number < copies:
            kind, row = kinds[number % len(kinds)], originals + number
            thumbnails[row] = thumbnail(np.ascontiguousarray(COPIES[kind](pixels)))
            planted[number, row] = kind
    return thumbnails, planted


def radiographs(count: int, seed: int = 7) -> Iterator[np.ndarray]:
    """Yield images, float32 (160, 160) in [0, 1], each with its own fine structure."""
    outlines = [
        cv2.GaussianBlur(radiograph.clean, (0, 0), OUTLINE_PX)
        for radiograph in islice(simulate(OUTLINES, PX, 400.0, 2.0, seed), min(count, OUTLINES))
    ]
    rng, centre = np.random.default_rng(seed), (PX / 2, PX / 2)
    for number in range(count):
        warp = cv2.getRotationMatrix2D(centre, rng.uniform(-8, 8), rng.uniform(0.94, 1.06))
        warp[:, 2] += rng.uniform(-6, 6, 2)
        outline = cv2.warpAffine(outlines[number % len(outlines)], warp, (PX, PX), borderMode=cv2.BORDER_REPLICATE)
        struts = fine_structure(rng) * (outline > outline.mean())  # on the bone, not on the tissue
        noise = rng.standard_normal((PX, PX), np.float32) * np.float32(NOISE)
        yield np.clip(outline * (1 + np.float32(DEPTH) * struts) + noise, 0, 1)


def fine_structure(rng: np.random.Generator) -> np.ndarray:
    """Return a random field between two scales, float32 (160, 160) of unit variance."""
    white = rng.standard_normal((PX, PX), np.float32)
    fine, coarse = (cv2.GaussianBlur(white, (0, 0), sigma) for sigma in STRUT_PX)
    return (fine - coarse) / (fine - coarse).std()


def reencoded(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as a JPEG of quality 60 stores them."""
    stream = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(stream, format="JPEG", quality=60)
    return np.asarray(Image.open(stream), np.float32) / 255


COPIES = {
    "re-encoded": reencoded,
    "smaller": lambda pixels: resized(pixels, 100, 100),
    "cropped": lambda pixels: pixels[5:, :-7],
    "flipped": np.fliplr,
    "upside down": np.flipud,
    "turned left": np.rot90,
    "turned right": lambda pixels: np.rot90(pixels, 3),
}


def turned(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotate by any angle; half of the time the frame grows with the picture."""
    height, width = pixels.shape
    warp = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(0, 360), 1.0)
    if rng.random() < 0.5:
        cos, sin = np.abs(warp[0, :2])
        size = int(width * cos + height * sin), int(width * sin + height * cos)
        warp[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
        width, height = size
    return cv2.warpAffine(pixels, warp, (width, height))


def shifted(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift by 8 to 15 % in both directions."""
    shift = rng.choice([-1, 1], 2) * rng.uniform(0.08, 0.15, 2) * pixels.shape[::-1]
    return cv2.warpAffine(pixels, np.column_stack([np.eye(2), shift]), pixels.shape[::-1])


def cropped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut off 15 % of height and width."""
    height, width = (int(0.85 * side) for side in pixels.shape)
    top, left = rng.integers(0, pixels.shape[0] - height + 1), rng.integers(0, pixels.shape[1] - width + 1)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def flipped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flip left to right or upside down."""
    return np.ascontiguousarray(np.flip(pixels, int(rng.integers(0, 2))))


def brightened(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and gamma."""
    changed = np.clip(pixels * rng.uniform(0.6, 1.4) + rng.uniform(-0.1, 0.1), 0, 1) ** rng.uniform(0.7, 1.5)
    return changed.astype(np.float32)


def noisy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add noise of 2 to 5 % of the range."""
    return np.clip(pixels + rng.normal(0, rng.uniform(0.02, 0.05), pixels.shape), 0, 1).astype(np.float32)


def blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur with a sigma of 0.3 to 0.8 % of the longer side."""
    return cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape) * rng.uniform(0.003, 0.008))


def padded(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put into a black square of up to 1.2 times the longer side."""
    side = int(max(pixels.shape) * rng.uniform(1, 1.2))
    rows, columns = (side - size for size in pixels.shape)
    return np.pad(pixels, ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)))


CHANGES = {
    "rotated by any angle": [turned],
    "shifted by up to 15 %": [shifted],
    "cropped by 15 %": [cropped],
    "flipped": [flipped],
    "brightness and contrast": [brightened],
    "noise of 2 to 5 %": [noisy],
    "blurred": [blurred],
    "padded to a square": [padded],
    "rotated and shifted": [turned, shifted],
    "rotated and cropped": [turned, cropped],
    "flipped, rotated, brightness": [flipped, turned, brightened],
    "rotated, noise": [turned, noisy],
    "rotated, blurred": [turned, blurred],
    "rotated, cropped, padded, brightness": [turned, cropped, padded, brightened],
    "all of these": [flipped, padded, turned, cropped, shifted, brightened, blurred, noisy],
}


if __name__ == "__main__":
    main()
