"""The card states what a model was trained on, and its fingerprint changes with that alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cohorts import (
    AUGMENT,
    CLASSES,
    SETTINGS,
    TUNING,
    cohort_of,
    lay_out_features,
    lay_out_images,
    with_settings,
)

from bonexray.augment.settings import Augment
from bonexray.base.files import read_json, write_json
from bonexray.base.hashing import sha256_of
from bonexray.data.paths import IMAGES, VIEWS, weights_path
from bonexray.train.card import model_card
from bonexray.train.settings import Train

PX = 8
FEATURES = Path("data/features/densenet121")
NETWORKS = {
    "frozen": "densenet121",
    "fine_tune": "densenet121",
    "full": "densenet121",
    "scratch": "compact_cnn",
}
every_mode = pytest.mark.parametrize("mode", NETWORKS)


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder with a cohort and the features and weights of two backbones."""
    monkeypatch.chdir(tmp_path)
    lay_out_images(PX)
    Path("weights").mkdir()
    for backbone in ("resnet50", "densenet121"):
        lay_out_features(backbone)
        weights_path(backbone).write_bytes(backbone.encode())


def card(mode: str, settings: Train = SETTINGS, augment: Augment = AUGMENT, **tuning: object) -> dict[str, object]:
    return model_card(NETWORKS[mode], cohort_of(NETWORKS[mode], mode, settings, augment, **tuning))


def fingerprint(mode: str, **options: object) -> object:
    return card(mode, **options)["fingerprint"]


# Content


@pytest.mark.parametrize(
    ("mode", "inputs", "sections"),
    [
        ("frozen", ["data/features/densenet121/features.npy"], {"train"}),
        (
            "fine_tune",
            ["data/features/densenet121/features.npy", "data/prepared/images.npy"],
            {"train", "augment", "fine_tune"},
        ),
        ("full", ["data/prepared/images.npy"], {"train", "augment"}),
        ("scratch", ["data/prepared/images.npy"], {"train", "augment"}),
    ],
)
def test_card_names_mode_inputs_and_settings(mode: str, inputs: list[str], sections: set[str]) -> None:
    found = card(mode)
    assert (found["model"], found["mode"], found["classes"], found["img_px"]) == (NETWORKS[mode], mode, CLASSES, PX)
    assert list(found["inputs_sha256"]) == inputs
    assert {"train", "augment", "fine_tune"} & set(found) == sections
    assert json.loads(json.dumps(found)) == found


def test_card_has_the_settings_that_apply() -> None:
    found = card("fine_tune")
    assert found["train"] == SETTINGS.model_dump(exclude={"repeats"})
    assert found["augment"] == AUGMENT.model_dump()
    assert found["fine_tune"] == TUNING.model_dump()


def test_card_names_the_weights_of_each_backbone() -> None:
    assert card("scratch")["backbones"] == {}
    assert card("frozen")["backbones"] == {"densenet121": "0" * 64}, "those that its features were made with"
    found = model_card("resnet50_densenet121", cohort_of("resnet50_densenet121", "full"))["backbones"]
    assert found == {backbone: sha256_of(weights_path(backbone)) for backbone in ("resnet50", "densenet121")}


def test_card_of_a_fusion_names_all_features() -> None:
    lay_out_features("densenet121", copies=2)
    found = model_card("resnet50_densenet121", cohort_of("resnet50_densenet121", "frozen"))
    files = ["resnet50/features.npy", "densenet121/features.npy", "densenet121/views.npy"]
    assert list(found["inputs_sha256"]) == [f"data/features/{file}" for file in files]


# Fingerprint


def add_noise(file: Path) -> None:
    np.save(file, np.load(file) + np.float32(1e-3))


def add_a_row(file: Path) -> None:
    file.write_text(file.read_text() + "a,a.png,normal,p,train,,0\n")


def renamed_weights() -> None:
    write_json(FEATURES / "features.json", {**read_json(FEATURES / "features.json"), "weights_sha256": "1" * 64})


CHANGES: dict[str, tuple[Callable[[], object], set[str]]] = {  # the change, and the modes whose fingerprint it changes
    "manifest": (lambda: add_a_row(Path("data/split/manifest.csv")), set(NETWORKS)),
    "classes": (
        lambda: write_json("data/split/classes.json", {"classes": sorted(CLASSES), "leak_suspect": False}),
        set(NETWORKS),
    ),
    "leak": (lambda: write_json("data/split/classes.json", {"classes": CLASSES, "leak_suspect": True}), set(NETWORKS)),
    "images": (lambda: add_noise(IMAGES), {"fine_tune", "full", "scratch"}),
    "features": (lambda: add_noise(FEATURES / "features.npy"), {"frozen", "fine_tune"}),
    "copies of features": (lambda: lay_out_features("densenet121", copies=2), {"frozen", "fine_tune"}),
    "weights of the features": (renamed_weights, {"frozen"}),
    "weights of the backbone": (lambda: weights_path("densenet121").write_bytes(b"b"), {"fine_tune", "full"}),
    "another backbone": (lambda: add_noise(Path("data/features/resnet50/features.npy")), set()),
    "a file beside them": (lambda: Path("data/prepared/unrelated.txt").write_text("a"), set()),
    "the date of a file": (lambda: (FEATURES / "features.npy").touch(), set()),
}


@every_mode
@pytest.mark.parametrize("what", CHANGES)
def test_an_input_counts_in_the_modes_that_read_it(what: str, mode: str) -> None:
    before, (change, counts_in) = fingerprint(mode), CHANGES[what]
    change()
    assert (fingerprint(mode) != before) == (mode in counts_in)


def test_augmented_features_count() -> None:
    lay_out_features("densenet121", copies=2)
    before = fingerprint("frozen")
    add_noise(FEATURES / VIEWS)
    assert fingerprint("frozen") != before


@every_mode
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("setting", [name for name in Train.model_fields if name != "repeats"])
def test_a_setting_of_training_counts_in_every_mode(setting: str, mode: str) -> None:
    assert fingerprint(mode, settings=with_settings(**{setting: "another"})) != fingerprint(mode)


def test_repeats_keep_the_fingerprint_and_add_runs() -> None:
    once, twice = (card("scratch", settings=with_settings(repeats=repeats)) for repeats in (1, 2))
    assert twice["fingerprint"] == once["fingerprint"]
    assert once["runs"] == [{"repeat": 1, "fold": 1}]
    assert twice["runs"] == [{"repeat": 1, "fold": 1}, {"repeat": 2, "fold": 1}]


def test_each_mode_has_its_own_fingerprint() -> None:
    assert len({fingerprint(mode) for mode in NETWORKS}) == 4


@every_mode
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("setting", Augment.model_fields)
def test_augmentation_counts_where_a_model_is_trained_on_images(setting: str, mode: str) -> None:
    changed = AUGMENT.model_copy(update={setting: "another"})
    assert (fingerprint(mode, augment=changed) != fingerprint(mode)) == (mode != "frozen")


@every_mode
@pytest.mark.parametrize("change", [{"blocks": {"densenet121": "a"}}, {"epochs": 9}, {"learning_rate": 0.5}], ids=str)
def test_settings_of_fine_tuning_count_in_its_mode(change: dict[str, object], mode: str) -> None:
    assert (fingerprint(mode, **change) != fingerprint(mode)) == (mode == "fine_tune")
