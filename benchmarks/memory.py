"""Measure whether memory depends on the batch rather than the cohort: `python benchmarks/memory.py`.

Runs the stages `denoise`, `prepare`, `features` and `train` on a small and a large cohort of noise, and prints the peak
memory of each process and the difference. Each stage reads the output of the one before, so --stages names the first few.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from bonexray.data.manifest import write_manifest
from bonexray.images.reading import write_png16
from bonexray.study import load_settings

ROOT = Path(__file__).parents[1]
BACKBONE, NETWORK = "mobilenet_v2", "compact_cnn"
STAGES = [("denoise",), ("prepare",), ("features", BACKBONE), ("train", BACKBONE), ("train", NETWORK)]
CLASSES = ["normal", "osteopenia", "osteoporosis"]


def main() -> None:
    """Measure every stage on both cohorts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs=2, default=[1_000, 10_000], help="sizes of the two cohorts")
    parser.add_argument("--px", type=int, default=128, help="side of an image")
    names = list(dict.fromkeys(stage for stage, *_ in STAGES))
    parser.add_argument("--stages", nargs="+", choices=names, default=names, help="all of them by default")
    options = parser.parse_args()
    if options.stages != names[: len(options.stages)]:
        parser.error(f"--stages: expected the first of {' '.join(names)}, in this order")
    stages = [stage for stage in STAGES if stage[0] in options.stages]
    peaks = [peaks_of(count, options.px, stages) for count in options.images]
    for stage, small, large in zip(stages, *peaks, strict=True):
        sizes = "  ".join(f"{n} images: {mb:.0f} MB" for n, mb in zip(options.images, (small, large), strict=True))
        print(f"{'@'.join(stage)}  {sizes}  difference: {large - small:.0f} MB")


def peaks_of(count: int, px: int, stages: list[tuple[str, ...]]) -> list[float]:
    """Return the peak memory in MB of each stage on a cohort of `count` images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, count, px)
        if ("features", BACKBONE) in stages:
            lay_out_weights()
        return [peak_of([sys.executable, str(ROOT / "stages" / f"{stage}.py"), *key], folder) for stage, *key in stages]


def peak_of(command: list[str], folder: Path) -> float:
    """Run a command; return its peak resident memory in MB."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{errors[-2000:]}")
    return usage.ru_maxrss / 1024


def lay_out(folder: Path, count: int, px: int) -> None:
    """Write the input of the stages: settings for one epoch, images of noise, and their manifest."""
    os.chdir(folder)
    yaml = YAML(typ="safe")
    params = yaml.load(ROOT / "params.yaml")
    params["train"]["epochs"], params["prepare"]["img_px"] = 1, px
    params["denoise"]["method"], params["denoise"]["quality_images"] = "none", 4
    params["dataset"].update(root="raw", inputs=["raw"], reference=None, simulated={})
    yaml.dump(params, folder / "params.yaml")
    rng, numbers = np.random.default_rng(7), np.arange(count)
    splits = np.array(["train"] * 7 + ["val"] * 2 + ["test"])[numbers % 10]
    write_manifest(
        pd.DataFrame(
            {
                "id": [f"{n:016x}" for n in numbers],
                "path": [f"{n}.png" for n in numbers],
                "label": np.array(CLASSES)[numbers % 3],
                "group": [f"p{n}" for n in numbers],
                "split": splits,
                "fold": "",
                "sha256": "0",
            }
        ),
        CLASSES,
    )
    Path("raw").mkdir()
    for number in numbers:
        write_png16(f"raw/{number}.png", rng.random((px, px)))


def lay_out_weights() -> None:
    """Write the starting weights of the backbone; imports Keras only here."""
    from bonexray.data.paths import weights_path
    from bonexray.features.starting_weights import starting_backbone

    weights_path(BACKBONE).parent.mkdir()
    starting_backbone(BACKBONE, load_settings().weights).save_weights(weights_path(BACKBONE))


if __name__ == "__main__":
    main()
