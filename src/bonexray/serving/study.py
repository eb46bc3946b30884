"""Bundles of the models of the study in the working directory."""

from pathlib import Path

import numpy as np

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.paths import HEADLINE, IMAGES, MODEL_CARD, PREDICTIONS
from bonexray.data.predictions import first_training, read_predictions
from bonexray.networks.trained import trained_network
from bonexray.serving.bundle import Bundle, BundleCard, bundle_versions
from bonexray.serving.facts import study_facts
from bonexray.serving.predictor import Predictor
from bonexray.study import Settings
from bonexray.train.settings import Train

CARDS = Path("reports/cards")
CHECKED_IMAGES = 2
TOLERANCE, TOLERANCE_16_BIT = 1e-3, 0.02  # of a probability, which may have been computed on another machine


def chosen_model() -> str:
    """Return the name of the model that the study chose on validation.

    Raises:
        BonexrayError: the study is not finished.
    """
    if not HEADLINE.is_file():
        raise BonexrayError(
            str(HEADLINE),
            expected="a finished study here",
            received="no such file",
            do="run `dvc repro`, or name a model with --model",
        )
    return read_json(HEADLINE)["model"]


def study_bundle(settings: Settings, name: str) -> Bundle:
    """Return a complete model of the study: the weights of the first training, backbones included.

    If images of the study are present, a few of them are predicted and compared with the recorded probabilities, which
    reveals settings that changed since training.

    Args:
        settings: the settings of the study.
        name: the name of the model.

    Raises:
        BonexrayError: it is not trained, or its predictions differ from those recorded.
    """
    folder = Path("models") / name
    if not (folder / MODEL_CARD).is_file():
        trained = ", ".join(sorted(path.parent.name for path in folder.parent.glob(f"*/{MODEL_CARD}"))) or "none"
        raise BonexrayError(
            f"--model {name}",
            expected=f"a trained model ({trained}) or a bundle's folder",
            received="no such model",
            do="correct the name, or run `dvc repro`",
        )
    card = read_json(folder / MODEL_CARD)
    page = CARDS / f"{card['model']}.md"
    if card["img_px"] != settings.prepare.img_px:
        raise BonexrayError(
            "prepare.img_px",
            expected=f"{card['img_px']}, the size {name} was trained with",
            received=settings.prepare.img_px,
            do="run `dvc repro`",
        )
    facts = {key: card[key] for key in ("model", "mode", "classes", "img_px", "leak_suspect", "fingerprint")}
    bundle_card = BundleCard(
        format=2,
        **facts,
        train=Train(**card["train"]),
        denoise=settings.denoise,
        prepare=settings.prepare,
        versions=bundle_versions(),
        conventions=card.get("conventions", {}),
        files={},
    )
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    bundle = Bundle(bundle_card, trained_network(folder), text, study_facts(settings, folder))
    require_recorded_predictions(bundle, folder, Path(settings.dataset.root))
    return bundle


def require_recorded_predictions(bundle: Bundle, folder: Path, root: Path) -> None:
    """Refuse a model that does not reproduce what the stages recorded about the images that are present.

    Args:
        bundle: the model.
        folder: models/<name>, with predictions.csv.
        root: the folder of the dataset.

    Raises:
        BonexrayError: a prepared image or a probability differs from the recorded one.
    """
    if not (folder / PREDICTIONS).is_file():
        return
    rows, recorded = first_training(*read_predictions(folder / PREDICTIONS, bundle.card.classes))
    paths = [root / path for path in rows["path"]]
    present = [row for row, path in enumerate(paths) if path.is_file()][:CHECKED_IMAGES]
    images = ArrayFile(IMAGES) if IMAGES.is_file() else None
    limit = TOLERANCE_16_BIT if bundle.card.train.mixed_precision else TOLERANCE
    answers = Predictor(bundle).predict([paths[row] for row in present], seen=True)
    for row, answer in zip(present, answers, strict=True):
        if images is not None:
            _require_close(paths[row], str(IMAGES), answer.image, images[row], TOLERANCE)
        _require_close(paths[row], str(folder / PREDICTIONS), answer.probabilities, recorded[row], limit)


def _require_close(path: Path, source: str, values: np.ndarray | None, recorded: np.ndarray, limit: float) -> None:
    same_shape = values is not None and values.shape == recorded.shape
    difference = float(np.abs(values - recorded).max()) if same_shape else np.inf
    if not difference <= limit:
        raise BonexrayError(
            str(path),
            expected=f"the values in {source}",
            received=f"a difference of {difference:.2g}",
            do="run `dvc repro`: images, weights or settings have changed since training",
        )
