"""A model of the study in the working directory, made ready to answer without it."""

from pathlib import Path

import numpy as np

from bonexray.data.arrays import ArrayFile
from bonexray.data.paths import HEADLINE, IMAGES, MODEL_CARD, PREDICTIONS
from bonexray.data.predictions import first_training, read_predictions
from bonexray.errors import BonexrayError
from bonexray.files import read_json
from bonexray.networks.trained import trained_network
from bonexray.serving.bundle import Bundle, BundleCard, bundle_versions
from bonexray.serving.predictor import Predictor
from bonexray.study import Settings
from bonexray.train.settings import Train

CARDS = Path("reports/cards")
TRIED, TOLERANCE, TOLERANCE_16_BIT = 2, 1e-3, 0.02  # images; the study's probabilities may come from another machine


def chosen_model() -> str:
    """The model that the study chose on validation.

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
    """A model of the study, complete: the first training's weights, with the backbones they stand on.

    Where images of the study are there, a few of them are answered as a trial: other settings than those that the
    model was trained with would show.

    Args:
        settings: of the study.
        name: of the model.

    Raises:
        BonexrayError: it is not trained, or it does not answer as its training recorded.
    """
    folder = Path("models") / name
    if not (folder / MODEL_CARD).is_file():
        here = ", ".join(sorted(path.parent.name for path in folder.parent.glob(f"*/{MODEL_CARD}"))) or "none"
        raise BonexrayError(
            f"--model {name}",
            expected=f"a trained model ({here}) or a bundle's folder",
            received="no such model",
            do="correct the name, or run `dvc repro`",
        )
    card, page = read_json(folder / MODEL_CARD), CARDS / f"{name}.md"
    if card["img_px"] != settings.prepare.img_px:
        raise BonexrayError(
            "prepare.img_px",
            expected=f"{card['img_px']}, the side {name} was trained with",
            received=settings.prepare.img_px,
            do="run `dvc repro`",
        )
    known = {key: card[key] for key in ("model", "mode", "classes", "img_px", "leak_suspect", "fingerprint")}
    about = BundleCard(
        format=2,
        **known,
        train=Train(**card["train"]),
        denoise=settings.denoise,
        prepare=settings.prepare,
        versions=bundle_versions(),
        files={},
    )
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    bundle = Bundle(about, trained_network(folder), text)
    require_recorded(bundle, folder, Path(settings.dataset.root))
    return bundle


def require_recorded(bundle: Bundle, folder: Path, root: Path) -> None:
    """Refuse a model that treats images of the study otherwise than its stages did; none there, none tried.

    Args:
        bundle: the model.
        folder: models/<name>, with predictions.csv.
        root: of the dataset.

    Raises:
        BonexrayError: a prepared image or a probability is another than the one recorded.
    """
    if not (folder / PREDICTIONS).is_file():
        return
    rows, recorded = first_training(*read_predictions(folder / PREDICTIONS, bundle.card.classes))
    paths = [root / path for path in rows["path"]]
    tried = [place for place, path in enumerate(paths) if path.is_file()][:TRIED]
    known = ArrayFile(IMAGES) if IMAGES.is_file() else None
    limit = TOLERANCE_16_BIT if bundle.card.train.mixed_precision else TOLERANCE
    for place, answer in zip(tried, Predictor(bundle).predict([paths[p] for p in tried], seen=True), strict=True):
        if known is not None:
            _require_near(paths[place], str(IMAGES), answer.image, known[place], TOLERANCE)
        _require_near(paths[place], str(folder / PREDICTIONS), answer.probabilities, recorded[place], limit)


def _require_near(path: Path, source: str, found: np.ndarray | None, recorded: np.ndarray, limit: float) -> None:
    same_shape = found is not None and found.shape == recorded.shape
    apart = float(np.abs(found - recorded).max()) if same_shape else np.inf
    if not apart <= limit:
        raise BonexrayError(
            str(path),
            expected=f"what {source} records of it",
            received=f"something else, up to {apart:.2g} apart",
            do="run `dvc repro`: images, weights or settings are not those of that training",
        )
