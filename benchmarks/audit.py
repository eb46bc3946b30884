"""How long the search for copies takes, and how many planted ones it finds: `python benchmarks/audit.py`.

A share of the pictures is planted once more: re-encoded, smaller, cropped, flipped or turned by a right angle. A picture
is a limb's outline, blurred out of a simulated radiograph and laid down a little differently each time, with a fine
structure of its own. Outlines are used again and again, so that each picture has dozens of others that are alike at a
glance: harder for the search than a cohort of different limbs, and quicker to lay out.
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
from bonexray.split.candidates import candidates
from bonexray.split.lookalikes import lookalikes
from bonexray.split.settings import Audit
from bonexray.split.thumbnails import thumbnail

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Audit(neighbours=8, likeness=0.7, crossing="regroup")
PX, OUTLINES, OUTLINE_PX = 160, 200, 5.0
STRUT_PX, DEPTH, NOISE = (0.9, 3.0), 0.12, 0.02  # of the fine structure: its scales and its strength; of the read-out


def main() -> None:
    """Lay out, plant, search, and print seconds and the share that is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--planted", type=float, default=0.02, help="share of the images")
    options = parser.parse_args()
    every, planted = laid_out(options.images, round(options.images * options.planted))
    start, before = time.perf_counter(), time.process_time()
    near = len(candidates(every, SETTINGS.neighbours))
    searched, chosen = time.perf_counter() - start, time.process_time() - before
    pairs = {(pair.one, pair.other) for pair in lookalikes(every, SETTINGS, LOCAL)}
    seconds = time.perf_counter() - start - searched
    busy = time.process_time() - before - chosen
    every_pair = len(every) * (len(every) - 1) // 2
    print(f"{len(every)} images: {seconds:.0f} s, of which the choice of what to compare {searched:.0f} s")
    print(f"of one core: {busy:.0f} s, which other work on the machine does not lengthen")
    print(f"compared: {near} pairs of {every_pair} ({near / every_pair:.2%})")
    print(
        f"planted copies found: {len(pairs & planted.keys())} of {len(planted)}; other pairs: {len(pairs - set(planted))}"
    )
    of, found = Counter(planted.values()), Counter(planted[pair] for pair in pairs & planted.keys())
    print("by kind: " + ", ".join(f"{kind} {found[kind]} of {of[kind]}" for kind in COPIES if of[kind]))


def laid_out(images: int, copies: int) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Thumbnails, the copies last, and what each pair of a picture and its copy differs by."""
    originals, kinds = images - copies, list(COPIES)
    thumbs, planted = np.empty((images, 128, 128), np.uint8), {}
    for number, pixels in enumerate(progress(pictures(originals), "laying out", originals)):
        thumbs[number] = thumbnail(pixels)
        if number < copies:
            kind, place = kinds[number % len(kinds)], originals + number
            thumbs[place] = thumbnail(np.ascontiguousarray(COPIES[kind](pixels)))
            planted[number, place] = kind
    return thumbs, planted


def pictures(count: int, seed: int = 7) -> Iterator[np.ndarray]:
    """Float32 (160, 160) in [0, 1], no two of one fine structure."""
    outlines = [
        cv2.GaussianBlur(radiograph.clean, (0, 0), OUTLINE_PX)
        for radiograph in islice(simulate(OUTLINES, PX, 400.0, 2.0, seed), min(count, OUTLINES))
    ]
    rng, centre = np.random.default_rng(seed), (PX / 2, PX / 2)
    for number in range(count):
        laid = cv2.getRotationMatrix2D(centre, rng.uniform(-8, 8), rng.uniform(0.94, 1.06))
        laid[:, 2] += rng.uniform(-6, 6, 2)
        outline = cv2.warpAffine(outlines[number % len(outlines)], laid, (PX, PX), borderMode=cv2.BORDER_REPLICATE)
        struts = fine_structure(rng) * (outline > outline.mean())  # bone, and not the tissue beside it
        noise = rng.standard_normal((PX, PX), np.float32) * np.float32(NOISE)
        yield np.clip(outline * (1 + np.float32(DEPTH) * struts) + noise, 0, 1)


def fine_structure(rng: np.random.Generator) -> np.ndarray:
    """A random field between two scales, float32 (160, 160) of unit variance."""
    white = rng.standard_normal((PX, PX), np.float32)
    fine, coarse = (cv2.GaussianBlur(white, (0, 0), sigma) for sigma in STRUT_PX)
    return (fine - coarse) / (fine - coarse).std()


def reencoded(pixels: np.ndarray) -> np.ndarray:
    """As a JPEG of quality 60."""
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
