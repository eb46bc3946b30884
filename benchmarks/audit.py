"""How long the search for copies takes, and how many planted ones it finds: `python benchmarks/audit.py`.

Simulated radiographs, of which a share is planted once more: re-encoded, smaller, flipped or turned by a right angle.
"""

import argparse
import io
import time
from itertools import islice

import numpy as np
from PIL import Image

from bonexray.config import Audit, Compute
from bonexray.data.images import resized
from bonexray.data.lookalikes import candidates, lookalikes, thumbnail
from bonexray.data.phantom import simulate
from bonexray.progress import progress

LOCAL = Compute(backend="local", scheduler=None)
SETTINGS = Audit(neighbours=8, likeness=0.7, crossing="regroup")


def reencoded(pixels: np.ndarray) -> np.ndarray:
    """As a JPEG of quality 60."""
    stream = io.BytesIO()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(stream, format="JPEG", quality=60)
    return np.asarray(Image.open(stream), np.float32) / 255


COPIES = [reencoded, lambda pixels: resized(pixels, 100, 100), np.fliplr, np.rot90]


def main() -> None:
    """Simulate, plant, search, and print seconds and the share that is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--planted", type=float, default=0.02, help="share of the images")
    options = parser.parse_args()
    originals = round(options.images * (1 - options.planted))
    cohort = (image.noisy for image in islice(simulate(originals, 128, 400.0, 2.0, 7), originals))
    thumbs, copies = [], []
    for number, pixels in enumerate(progress(cohort, "simulating", originals)):
        thumbs.append(thumbnail(pixels))
        if number < options.images - originals:
            copies.append(thumbnail(np.ascontiguousarray(COPIES[number % len(COPIES)](pixels))))
    every = np.stack([*thumbs, *copies])
    start = time.perf_counter()
    near = len(candidates(every, SETTINGS.neighbours))
    searched = time.perf_counter() - start
    pairs = {(pair.one, pair.other) for pair in lookalikes(every, SETTINGS, LOCAL)}
    seconds = time.perf_counter() - start - searched
    planted = {(number, originals + number) for number in range(len(copies))}
    every_pair = len(every) * (len(every) - 1) // 2
    print(f"{len(every)} images: {seconds:.0f} s, of which the search among hashes {searched:.0f} s")
    print(f"compared: {near} pairs of {every_pair} ({near / every_pair:.2%})")
    print(f"planted copies found: {len(pairs & planted)} of {len(planted)}; other pairs: {len(pairs - planted)}")


if __name__ == "__main__":
    main()
