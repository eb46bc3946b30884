"""The stages one by one: each reads params.yaml and what earlier ones left in a folder, and returns what it found.

    study = XRayClassifier({"models": ["vgg16"]}, folder="study")
    study.write_settings()
    steps.phantom("study")
    manifest = steps.split("study")

Every function takes the study's folder, and `verbose=False` where only its answer is wanted. A stage that refuses its
input raises BonexrayError. What a stage reads and writes stands in the README's table of stages.
"""

from pathlib import Path

import pandas as pd

from bonexray.config import PARAMS
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import COMPARISON, DENOISE, IMAGES, MANIFEST
from bonexray.errors import BonexrayError
from bonexray.experiment.evaluation import REPORT
from bonexray.experiment.process import run_in
from bonexray.files import read_json
from bonexray.study import Settings, load_settings

STAGES: dict[
    str, str | None
] = {  # in their order, each with the part of the settings that it runs once for each entry of, as dvc.yaml says
    "phantom": "dataset.simulated",
    "split": None,
    "denoise": None,
    "prepare": None,
    "cohort": None,
    "augment": None,
    "weights": "backbones",
    "features": "backbones",
    "train": "models",
    "evaluate": "models",
    "explain": "networks",
    "aggregate": None,
    "report": None,
}


def plan(settings: Settings, *, explain: bool = True) -> list[tuple[str, ...]]:
    """Every call of a whole study in order, a stage and what it is for: `("train", "vgg16")`.

    Args:
        settings: of the study.
        explain: with heat maps, which take longest; a report without them is whole.
    """
    calls: list[tuple[str, ...]] = []
    for stage, over in STAGES.items():
        if over is None:
            calls.append((stage,))
        elif stage == "phantom":  # the built-in cohort is made once, and only where it is the dataset
            calls += [(stage,)] * bool(settings.dataset.simulated)
        elif stage != "explain" or explain:
            calls += [(stage, name) for name in getattr(settings, over)]
    return calls


def phantom(folder: Path | str = ".", *, verbose: bool = True) -> pd.DataFrame:
    """Simulate the built-in cohort; a row an image: path, patient, label, T-score and the bone behind it."""
    return pd.read_csv(_ran(folder, "phantom", verbose=verbose) / "data/phantom/truth.csv")


def split(folder: Path | str = ".", *, verbose: bool = True) -> pd.DataFrame:
    """Find copies, group, and split by group; the manifest, a row an image: id, path, label, group, split, fold, sha256."""
    return read_manifest(_ran(folder, "split", verbose=verbose) / MANIFEST)


def denoise(folder: Path | str = ".", *, verbose: bool = True) -> dict[str, float]:
    """Filter every image; PSNR in dB and SSIM before and after, and on how many images they were measured."""
    return read_json(_ran(folder, "denoise", verbose=verbose) / DENOISE)


def prepare(folder: Path | str = ".", *, verbose: bool = True) -> ArrayFile:
    """Bring every image to one size and range; what the networks see, float32 (images, img_px, img_px) in [0, 1], in the manifest's order."""
    return ArrayFile(_ran(folder, "prepare", verbose=verbose) / IMAGES)


def cohort(folder: Path | str = ".", *, verbose: bool = True) -> Path:
    """Count and show the images of each class and split; the folder of figures."""
    return _ran(folder, "cohort", verbose=verbose) / "reports/cohort"


def augment(folder: Path | str = ".", *, verbose: bool = True) -> Path:
    """Draw what augmentation does to an image of each class; the folder of the figure."""
    return _ran(folder, "augment", verbose=verbose) / "reports/augmentation"


def weights(folder: Path | str, backbone: str, *, verbose: bool = True) -> Path:
    """Pin a backbone's starting weights; their file."""
    return _ran(folder, "weights", backbone, verbose=verbose) / f"weights/{backbone}.weights.h5"


def features(folder: Path | str, backbone: str, *, verbose: bool = True) -> ArrayFile:
    """Run every image through a frozen backbone; what it sees, float32 (images, width), in the manifest's order."""
    return ArrayFile(_ran(folder, "features", backbone, verbose=verbose) / f"data/features/{backbone}/features.npy")


def train(folder: Path | str, model: str, *, verbose: bool = True) -> pd.DataFrame:
    """Train a model and log it to MLflow; a row an epoch: losses, accuracies and learning rate."""
    return pd.read_csv(_ran(folder, "train", model, verbose=verbose) / f"models/{model}/history.csv")


def evaluate(folder: Path | str, model: str, *, verbose: bool = True) -> dict[str, float | None]:
    """Score a trained model on the test images; score to value, with `_low` and `_high` of its interval."""
    return read_json(_ran(folder, "evaluate", model, verbose=verbose) / f"metrics/models/{model}.json")


def explain(folder: Path | str, model: str, *, verbose: bool = True) -> Path:
    """Draw heat maps of a trained model and a diagram of it; the folder of figures."""
    return _ran(folder, "explain", model, verbose=verbose) / f"reports/explained/{model}"


def aggregate(folder: Path | str = ".", *, verbose: bool = True) -> pd.DataFrame:
    """Compare all models of the study and make ensembles; the ranked table, a row a model."""
    return pd.read_csv(_ran(folder, "aggregate", verbose=verbose) / COMPARISON)


def report(folder: Path | str = ".", *, verbose: bool = True) -> Path:
    """Write the whole study on one page and complete its record in MLflow; the page."""
    return _ran(folder, "report", verbose=verbose) / REPORT


def _ran(folder: Path | str, stage: str, *names: str, verbose: bool) -> Path:
    folder = Path(folder).absolute()
    if not (folder / PARAMS).is_file():
        raise BonexrayError(
            str(folder / PARAMS),
            expected="a study's settings",
            received="no such file",
            do="XRayClassifier(config, folder).write_settings() writes them",
        )
    for name in names:
        known = getattr(load_settings(folder / PARAMS), str(STAGES[stage]))
        if name not in known:
            raise BonexrayError(
                f"{stage}: {name}",
                expected=f"one of the study's {STAGES[stage]}: {', '.join(known) or 'none'}",
                received="another name",
                do="correct it, or name the model in the config",
            )
    run_in(folder, stage, *names, verbose=verbose)
    return folder
