"""Checks that the inputs of a search, the outputs of earlier stages, exist and are up to date."""

from collections.abc import Iterator
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.base.hashing import sha256_of
from bonexray.data.arrays import ArrayFile
from bonexray.data.features_card import read_features_card
from bonexray.data.folds import folds_of
from bonexray.data.manifest import read_manifest
from bonexray.data.paths import CLASSES, FEATURES, FEATURES_CARD, IMAGES, MANIFEST, VIEWS, features_folder, weights_path
from bonexray.registry import BASELINES, FINE_TUNE, FROZEN, model_row
from bonexray.study import Settings
from bonexray.train.settings import ModelRow

DVC_FOLDER = Path(".dvc")


def searched_model(settings: Settings, name: str) -> ModelRow:
    """Return the study's row of the model whose settings are to be searched.

    Raises:
        BonexrayError: if there is no such model, or it is not in the study.
    """
    model_row(name)
    if name not in settings.models:
        networks = [model for model in settings.models if model not in BASELINES]
        raise BonexrayError(
            "--model",
            expected=f"a model of the study in params.yaml: {', '.join(networks)}",
            received=repr(name),
            do=f"run `dvc exp run -S model={name}` first",
        )
    return settings.models[name]


def require_inputs(settings: Settings, name: str) -> int:
    """Refuse inputs that are missing or stale.

    Returns:
        The number of augmented copies of the model's features on disk.

    Raises:
        BonexrayError: if an input is missing or stale; it names the stage that writes it.
    """
    row = searched_model(settings, name)
    inputs = list(_inputs(row, name, settings.features.copies))
    for stage, file in inputs:
        if not file.is_file():
            raise _not_ready(stage, str(file), "no such file")
    if settings.split.folds or folds_of(read_manifest()) > 1:
        raise BonexrayError(
            "split.folds",
            expected="null for a search, because every image is in the test set of some fold",
            received=settings.split.folds,
            do="search with a single split, then use the settings in the study with folds",
        )
    cards = [_require_current(settings, name, backbone) for backbone in _backbones_on_features(row, name)]
    _require_fresh(sorted({stage for stage, _ in inputs}))
    return cards[0]["copies"] if cards else 0


def _backbones_on_features(row: ModelRow, name: str) -> tuple[str, ...]:
    return model_row(name).backbones if row.mode in (FROZEN, FINE_TUNE) else ()


def _inputs(row: ModelRow, name: str, copies: int) -> Iterator[tuple[str, Path]]:
    """Yield the stages and their files that a training reads."""
    yield from (("split", file) for file in (MANIFEST, CLASSES))
    on_features = _backbones_on_features(row, name)
    for backbone in model_row(name).backbones:
        stage, folder = f"features@{backbone}", features_folder(backbone)
        yield stage, folder / FEATURES_CARD
        if backbone in on_features:
            yield from ((stage, folder / file) for file in (FEATURES, *([VIEWS] if copies else [])))
        if row.mode != FROZEN:
            yield stage, weights_path(backbone)
    if row.mode != FROZEN:
        yield "prepare", IMAGES


def _require_current(settings: Settings, name: str, backbone: str) -> dict:
    """Compare a backbone's features with the settings, the manifest and the weights; return their card."""
    folder, weights = features_folder(backbone), weights_path(backbone)
    card, images, copies = read_features_card(folder), len(read_manifest()), settings.features.copies
    findings = [
        (card["img_px"], settings.prepare.img_px, "px"),
        (card["copies"], copies, "augmented copies"),
        (len(ArrayFile(folder / FEATURES)), images, "images"),
    ]
    for actual, expected, what in findings:
        if actual != expected:
            raise _not_ready(f"features@{backbone}", str(folder), f"features of {actual} {what}", f"{expected} {what}")
    if weights.is_file() and sha256_of(weights) != card["weights_sha256"]:
        raise _not_ready(f"features@{backbone}", str(folder), "features of other weights", f"those of {weights}")
    return card


def _require_fresh(stages: list[str]) -> None:
    """Refuse outputs of stages whose inputs, settings or code have changed, according to DVC."""
    if not DVC_FOLDER.is_dir():
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            changed = repo.status(targets=stages, with_deps=True)
    except DvcException as error:
        raise BonexrayError(
            "dvc status",
            expected="the state of the stages",
            received=" ".join(f"{error}".split()),
            do="correct dvc.yaml and params.yaml",
        ) from error
    if changed:
        first = next((stage for stage in stages if stage in changed), next(iter(changed)))
        raise _not_ready(" ".join(stages), f"the output of {first}", "output of other inputs, settings or code")


def _not_ready(stage: str, what: str, received: str, expected: str = "") -> BonexrayError:
    expected = expected or f"what `dvc repro {stage}` leaves"
    return BonexrayError(what, expected=expected, received=received, do=f"run `dvc repro {stage}`")
