"""Measure the quality and time of every filter: `python benchmarks/filters.py`.

Uses the phantom cohort, whose clean originals are known, or with --images FOLDER any images, to which noise is added.
Writes metrics/filters.csv, reports/filters.md and reports/filters.png, and with --into docs/denoising.md the table into that
page. Seconds per megapixel are processor time of this machine; PSNR and SSIM do not depend on the machine.
"""

import argparse
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.base.files import atomic_file
from bonexray.denoise.filters import FILTERS, filter_of
from bonexray.denoise.quality import psnr_db, ssim
from bonexray.denoise.settings import Denoise
from bonexray.figures.canvas.grid import image_grid
from bonexray.images.reading import bounded, read_image
from bonexray.phantom.simulation import simulate
from bonexray.progress import progress
from bonexray.results.markdown import with_section

PUBLISHED = "| BM3D as published, on knees | 21.3 → 31.7 | 0.65 → 0.91 | |"
SEED = 7


def main() -> None:
    """Run every filter on the images, and write the table and the gallery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of images instead of the phantom cohort")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--px", type=int, default=128, help="side of a phantom, or longer side of an image")
    parser.add_argument("--noise", type=float, default=0.086, help="added to images: 0.086 of the range is 21.3 dB")
    parser.add_argument("--into", type=Path, help="a Markdown file to write the table into")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for metrics/ and reports/")
    options = parser.parse_args()
    pairs = with_noise(options) if options.images else phantoms(options)
    table, samples = measure(pairs)
    write(table, samples, options)


def phantoms(options: argparse.Namespace) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of clean and noisy images, (px, px) in [0, 1]."""
    cohort = simulate(options.count, options.px, 120.0, 2.0, SEED)
    return [(image.clean, image.noisy) for image in islice(cohort, options.count)]


def with_noise(options: argparse.Namespace) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of images without and with added Gaussian noise."""
    files = sorted(path for path in options.images.rglob("*") if path.is_file())
    rng = np.random.default_rng(SEED)
    sample = rng.choice(len(files), min(options.count, len(files)), replace=False)
    clean = [bounded(read_image(files[number]), options.px) for number in sorted(sample)]
    return [(c, np.clip(c + rng.normal(0, options.noise, c.shape), 0, 1).astype(np.float32)) for c in clean]


def measure(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return a table with one row for each filter, and the first image as each filters it."""
    rows, samples = [], dict(zip(("clean", "noisy"), pairs[0], strict=True))
    for name in FILTERS:
        work = filter_of(
            Denoise.model_validate(
                {
                    "method": name,
                    "options": {},
                    "sigma": None,
                    "working_px": 4096,
                    "quality_images": 1,
                    "quality_sigma": 0.1,
                    "store_gb": 0.0,
                    "seed": SEED,
                }
            )
        )
        work(pairs[0][1])  # imports do not count
        start = time.process_time()
        after = [work(noisy) for _, noisy in progress(pairs, name, len(pairs))]
        seconds = time.process_time() - start
        scores = [
            [(score(c, n), score(c, a)) for (c, n), a in zip(pairs, after, strict=True)] for score in (psnr_db, ssim)
        ]
        (psnr_before, psnr_after), (ssim_before, ssim_after) = (np.mean(values, axis=0) for values in scores)
        rows.append(
            {
                "filter": name,
                "images": len(pairs),
                "psnr_before_db": psnr_before,
                "psnr_after_db": psnr_after,
                "ssim_before": ssim_before,
                "ssim_after": ssim_after,
                "seconds_per_megapixel": seconds / sum(c.size for c, _ in pairs) * 1e6,
            }
        )
        samples[name] = after[0]
    return pd.DataFrame(rows), samples


def markdown(table: pd.DataFrame, images: str) -> str:
    """Return the table in Markdown."""
    lines = ["| filter | PSNR, dB | SSIM | seconds per megapixel |", "| --- | --: | --: | --: |"]
    lines += [
        f"| `{row['filter']}` | {row['psnr_before_db']:.1f} → {row['psnr_after_db']:.1f} | {row['ssim_before']:.2f} → "
        f"{row['ssim_after']:.2f} | {row['seconds_per_megapixel']:.2f} |"
        for row in table.sort_values("psnr_after_db", ascending=False).to_dict("records")
    ]
    note = f"n = {table['images'].iloc[0]} {images}. CLAHE raises contrast and removes no noise, so both measures fall."
    return "\n".join([*lines, PUBLISHED, "", note])


def gallery(samples: dict[str, np.ndarray], title: str, path: Path) -> None:
    """Draw images (height, width) in [0, 1] in two rows."""
    image_grid(list(samples.items()), -(-len(samples) // 2), 2.1, title, path)


def write(table: pd.DataFrame, samples: dict[str, np.ndarray], options: argparse.Namespace) -> None:
    """Write the table, the page and the gallery."""
    images = f"images of {options.images.name} with added noise" if options.images else f"phantoms of {options.px} px"
    with atomic_file(options.out / "metrics" / "filters.csv") as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    text = markdown(table, images)
    with atomic_file(options.out / "reports" / "filters.md") as partial:
        partial.write_text(f"# Filters\n\n{text}\n\n![before and after](filters.png)\n", encoding="utf-8")
    gallery(samples, f"Filters on {images}", options.out / "reports" / "filters.png")
    if options.into:
        page = options.into.read_text(encoding="utf-8")
        options.into.write_text(with_section(page, "filters", text), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
