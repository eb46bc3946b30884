"""Measure the engines and profiles of BM3D: `python benchmarks/engines.py --images FOLDER --into docs/denoising.md`.

Filters phantoms, whose clean originals are known, and X-rays of a folder with added noise, one image at a time. Writes
metrics/engines.csv, row by row, and with --into the table into that page. What is not measured again, such as an engine
that is not installed, keeps its rows. Seconds are processor time on one thread of this machine; PSNR and SSIM do not depend on the machine.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from filters import phantoms, with_noise

from bonexray.base.files import atomic_file
from bonexray.denoise.bm3d_engines import ENGINES
from bonexray.denoise.filters import bm3d
from bonexray.denoise.quality import psnr_db, ssim
from bonexray.licences import PACKAGES
from bonexray.progress import progress
from bonexray.results.markdown import with_section

KINDS = [("bm3d", "lc"), ("bm3d", "np"), ("bm3dornl", "np"), ("bmnd", "np")]
KEYS = ["engine", "profile", "images", "px"]


def main() -> None:
    """Run every engine on the images, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--count", type=int, default=24, help="number of phantoms")
    parser.add_argument("--px", type=int, default=80, help="side of a phantom")
    parser.add_argument("--images", type=Path, help="a folder of X-rays; without it, their rows of an earlier run stay")
    parser.add_argument("--xrays", type=int, default=12, help="number of X-rays")
    parser.add_argument("--xray-px", type=int, default=256, help="longer side of an X-ray")
    parser.add_argument("--into", type=Path, help="a Markdown file to write the table into")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for metrics/")
    options = parser.parse_args()
    sets = {("phantoms", options.px): phantoms(options)}
    if options.images:
        xrays = argparse.Namespace(images=options.images, count=options.xrays, px=options.xray_px, noise=0.086)
        sets["X-rays", options.xray_px] = with_noise(xrays)
    path = options.out / "metrics" / "engines.csv"
    kinds = [kind for kind in KINDS if kind[0] in options.engines and find_spec(kind[0])]
    for kind in kinds:
        for key, pairs in sets.items():
            write(measure(*kind, *key, pairs), path)
    text = markdown(pd.read_csv(path))
    if options.into:
        page = options.into.read_text(encoding="utf-8")
        options.into.write_text(with_section(page, "engines", text), encoding="utf-8")
    print(text)


def measure(
    engine: str, profile: str, images: str, px: int, pairs: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, object]:
    """Return a row: means over pairs of clean and noisy images, and seconds of processor time an image."""
    bm3d(pairs[0][1][:64, :64], None, engine=engine, profile=profile)  # imports and compilation do not count
    start = time.process_time()
    after = [bm3d(noisy, None, engine=engine, profile=profile) for _, noisy in progress(pairs, engine, len(pairs))]
    seconds = (time.process_time() - start) / len(pairs)
    scores = {
        name: np.mean([score(clean, image) for (clean, _), image in zip(pairs, after, strict=True)])
        for name, score in (("psnr_db", psnr_db), ("ssim", ssim))
    }
    return dict(zip(KEYS, (engine, profile, images, px), strict=True)) | {"n": len(pairs), **scores, "seconds": seconds}


def write(row: dict[str, object], path: Path) -> None:
    """Write a row to the table, in place of that of an earlier run."""
    table = pd.DataFrame([row])
    if path.exists():
        table = pd.concat([table, pd.read_csv(path)]).drop_duplicates(KEYS)
    place = {kind: number for number, kind in enumerate(KINDS)}
    order = [place[kind] for kind in zip(table["engine"], table["profile"], strict=True)]
    table = table.assign(order=order).sort_values(["order", "images"], ascending=[True, False]).drop(columns="order")
    with atomic_file(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")


def markdown(table: pd.DataFrame) -> str:
    """Return the table in Markdown, a row for each engine and profile and three columns for each set of images."""
    sets = list(dict.fromkeys(zip(table["images"], table["px"], table["n"], strict=True)))
    lines = [
        "| engine | licence | profile |"
        + "".join(f" {n} {what} of {px} px: PSNR, dB | SSIM | s |" for what, px, n in sets),
        "| --- | --- | --- |" + " --: | --: | --: |" * len(sets),
    ]
    for engine, profile in KINDS:
        rows = table[(table["engine"] == engine) & (table["profile"] == profile)].set_index(["images", "px", "n"])
        cells = [
            f" {rows.loc[key, 'psnr_db']:.2f} | {rows.loc[key, 'ssim']:.3f} | {rows.loc[key, 'seconds']:.2f} |"
            if key in rows.index
            else " | | |"
            for key in sets
        ]
        lines.append(f"| `{engine}` | {PACKAGES[engine].name} | `{profile}` |{''.join(cells)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
