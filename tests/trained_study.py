"""A tiny study with two trained models, for the tests of bundles, predictions and exports."""

import runpy
from contextlib import chdir
from pathlib import Path

import numpy as np
from conftest import REPOSITORY, YAML_FILE, Study

from bonexray.base.files import write_json
from bonexray.derived_params import derive_params
from bonexray.images.reading import write_png16
from bonexray.study import Settings, load_settings

FROZEN, SCRATCH = "mobilenet_v2", "compact_cnn"
CHANGES = {
    "denoise.method": "median",
    "denoise.working_px": 48,
    "train.epochs": 2,
    "train.batch_images": 8,
    "train.learning_rate": 0.01,
    "explain.right": 1,
    "explain.wrong": 1,
    "dataset.classes": ["osteoporosis", "normal"],
}


def run_study(folder: Path) -> Settings:
    """Run the stages on two classes of unequal size, of noisy images, not square and larger than the working size."""
    study = Study(folder)
    params = YAML_FILE.load(REPOSITORY / "params.yaml")
    rng = np.random.default_rng(7)
    for number in range(24):
        name, shade = (("normal", 0.3), ("osteoporosis", 0.5))[number % 8 in (1, 3, 5)]
        ramp = np.linspace(0, shade, 60)[:, None] * np.linspace(1, 0.5, 50)
        write_png16(study.write(f"data/raw/{name}/{number}.png", b""), ramp + 0.4 * rng.random((60, 50)))
    chosen = {"model": [FROZEN, SCRATCH]}
    study.change({**CHANGES, **chosen, **derive_params({**params, **chosen, "external": {}})})
    with chdir(folder):
        settings = load_settings()
        calls = [
            ("split",),
            ("denoise",),
            ("prepare",),
            ("features", FROZEN),
            ("train", FROZEN),
            ("train", SCRATCH),
        ]
        for script, *arguments in calls:
            runpy.run_path(str(REPOSITORY / f"stages/{script}.py"))["main"](settings, *arguments)
        write_json("metrics/headline.json", {"model": FROZEN})
    return settings
