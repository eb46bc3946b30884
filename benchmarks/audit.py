"""Measure the time of the search for copies, and the share of planted copies that it finds: `python benchmarks/audit.py`.

A share of the images is planted a second time: re-encoded, smaller, cropped, flipped or rotated by a right angle. An image
is the blurred outline of a simulated limb in a random position, with its own fine structure. Outlines are reused, so that
each image has dozens of others of similar appearance. This is harder for the search than a cohort of different limbs, and
faster to generate.
"""

import argparse
import io
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
from PIL import Image

from bonexray.compute import Compute
from bonexray.images.reading import resized
from bonexray.phantom.simulation import simulate
from bonexray.progress import progress
from bonexray.split.candidates import find_candidates
from bonexray.split.lookalikes import find_lookalikes
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import thumbnail

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Audit(neighbours=8, likeness=0.7, crossing="regroup")
PX, OUTLINES, OUTLINE_PX = 160, 200, 5.0
STRUT_PX, DEPTH, NOISE = (0.9, 3.0), 0.12, 0.02  # scales and strength of the fine structure; read-out noise


def main() -> None:
    """Generate images, plant copies, search, and print the time and the share found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--planted", type=float, default=0.02, help="share of the images")
    options = parser.parse_args()
    thumbnails, planted = generate(options.images, round(options.images * options.planted))
    start, before = time.perf_counter(), time.process_time()
    candidates = len(find_candidates(thumbnails, SETTINGS.neighbours))
    candidate_seconds, candidate_cpu = time.perf_counter() - start, time.process_time() - before
    pairs = {(pair.one, pair.other) for pair in find_lookalikes(thumbnails, SETTINGS, LOCAL)}
    seconds = time.perf_counter() - start - candidate_seconds
    cpu = time.process_time() - before - candidate_cpu
    all_pairs = len(thumbnails) * (len(thumbnails) - 1) // 2
    print(f"{len(thumbnails)} images: {seconds:.0f} s, of which the search for candidates {candidate_seconds:.0f} s")
    print(f"CPU time: {cpu:.0f} s, independent of other work on the machine")
    print(f"compared: {candidates} pairs of {all_pairs} ({candidates / all_pairs:.2%})")
    print(
        f"planted copies found: {len(pairs & planted.keys())} of {len(planted)}; other pairs: {len(pairs - set(planted))}"
    )
    total, found = Counter(planted.values()), Counter(planted[pair] for pair in pairs & planted.keys())
    print("by kind: " + ", ".join(f"{kind} {found[kind]} of {total[kind]}" for kind in COPIES if total[kind]))


def generate(images: int, copies: int) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Return thumbnails, the copies last, and the kind of each planted copy by (row of the original, row of the copy)."""
    originals, kinds = images - copies, list(COPIES)
    thumbnails, planted = np.empty((images, 128, 128), np.uint8), {}
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


if __name__ == "__main__":
    main()
