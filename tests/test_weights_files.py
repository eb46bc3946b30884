"""Test weights files of one's own: their settings, their hash, and the convention from the features to a served model."""

import hashlib
import logging
import runpy
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from cohorts import AUGMENT, CLASSES, SETTINGS, cohort_of, lay_out_images
from conftest import REPOSITORY
from pydantic import ValidationError

from bonexray.backbones.encoder import CONVENTION, CONVENTIONS, to_convention
from bonexray.base.errors import BonexrayError
from bonexray.base.files import write_json
from bonexray.check import inspect, settings_findings
from bonexray.composition import compose
from bonexray.data.features_card import read_features_card
from bonexray.data.paths import FEATURES, IMAGES, MODEL_CARD, MODEL_WEIGHTS, features_folder
from bonexray.denoise.settings import Denoise
from bonexray.derived_params import derive_params
from bonexray.experiment.classifier import XRayClassifier
from bonexray.explain.feature_maps import split_network
from bonexray.features.extraction import LARGEST_FEATURE, extract_features
from bonexray.features.settings import BackboneRow, Features, Weights
from bonexray.networks.trained import empty_network, trained_network
from bonexray.prepare.settings import Prepare
from bonexray.registry import BACKBONES, FROZEN
from bonexray.serving.bundle import Bundle, BundleCard, open_bundle, write_bundle
from bonexray.study import load_settings
from bonexray.train.card import model_card

NAME, PX, SHA256 = "mobilenet_v2", 32, "ab" * 32
MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)  # of ImageNet in 0 to 255
Stage = Callable[..., Path]


def weights_with(**file: str) -> Weights:
    return Weights(source="random", files={NAME: {"path": "own.weights.h5", **file}})


def encoded_by_hand(images: np.ndarray) -> np.ndarray:
    """Return the features of images (n, px, px) in [0, 1] as RadImageNet's training prepared them: BGR, mean, 255."""
    bgr = np.repeat(images[..., None], 3, axis=-1) * 255 - MEAN_BGR
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(PX, PX, 3))
    network.load_weights("own.weights.h5")
    return network.predict(bgr / 255, verbose=0).mean(axis=(1, 2))


def distance_by_hand(folder: Path) -> float:
    """Return the largest difference of features from those by hand, relative to the largest feature."""
    features, expected = np.load(folder / FEATURES), encoded_by_hand(np.load(IMAGES))
    return float(np.abs(features - expected).max() / np.abs(expected).max())


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with images and a weights file of one's own."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr("bonexray.features.starting_weights.log.propagate", True)
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    lay_out_images(PX)
    keras.utils.set_random_seed(3)
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(PX, PX, 3)).save_weights(
        "own.weights.h5"
    )
    return tmp_path


@pytest.fixture
def stage(study: Path) -> Stage:
    """Return a function that runs the stage `features` with settings of the file, and gives the folder of its output."""
    script = runpy.run_path(str(REPOSITORY / "stages/features.py"))

    def run(**file: str) -> Path:
        weights = weights_with(**file)
        rows = {NAME: BackboneRow(row="facts", watch="own.weights.h5")}
        settings = script["Settings"](weights=weights, features=Features(), augment=AUGMENT, backbones=rows)
        script["main"](settings, NAME)
        return features_folder(NAME)

    return run


# Settings


def test_a_path_alone_is_a_file_without_further_facts() -> None:
    alone, mapping = Weights(files={NAME: "a.h5"}), Weights(files={NAME: {"path": "a.h5"}})
    assert alone == mapping and alone.files[NAME].path == "a.h5" and alone.files[NAME].convention is None
    assert Weights(**alone.model_dump()) == alone


FAULTS = {
    "no path": ({"convention": "tf"}, "a path, or a mapping with path and any of convention, source, licence, sha256"),
    "an unknown key": ({"path": "a.h5", "license": "MIT"}, "any of convention, source, licence, sha256"),
    "no mapping": (3, "a path, or a mapping"),
    "an unknown convention": ({"path": "a.h5", "convention": "rgb"}, "'caffe'"),
    "a short hash": ({"path": "a.h5", "sha256": "ab"}, "pattern"),
}


@pytest.mark.parametrize(("value", "words"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_entry_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Weights(files={NAME: value})
    assert len(refusal.value.errors()) == 1 and words in refusal.value.errors()[0]["msg"]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_row_names_the_convention_of_the_file_and_dvc_watches_it(convention: str, tmp_path: Path) -> None:
    compose(
        tmp_path / "p.yaml", REPOSITORY / "conf", [f"+weights.files.vgg16={{path: a.h5, convention: {convention}}}"]
    )
    settings = load_settings(tmp_path / "p.yaml")
    row = settings.backbones["vgg16"]
    assert (row.watch, row.row.split(", ")[1]) == ("a.h5", convention)
    assert [finding for finding in settings_findings(settings) if "backbones" in finding.what] == []


def test_a_path_alone_keeps_the_row() -> None:
    choices = {"model": "vgg16", "mode": FROZEN, "modes": {}, "fine_tune": {"blocks": {}}}
    rows = [
        derive_params({**choices, "weights": {"files": files}})["backbones"]["vgg16"]["row"]
        for files in ({}, {"vgg16": "a.h5"}, {"vgg16": {"path": "a.h5", "licence": "MIT"}})
    ]
    assert len(set(rows)) == 1


def test_a_config_of_python_may_state_the_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = {
        "path": "a.h5",
        "convention": "0-255",
        "source": "https://example.org/a",
        "licence": "MIT",
        "sha256": SHA256,
    }
    settings = XRayClassifier({"models": "vgg16", "weights.files": {"vgg16": facts}}, folder="study").settings
    assert settings.weights.files["vgg16"].model_dump() == {**facts, "path": str(tmp_path / "a.h5")}


# Commercial use

TERMS = {
    "a free licence": ("MIT", True),
    "one's own": ("LicenseRef-own", True),
    "a non-commercial one": ("CC-BY-NC-4.0", False),
    "a link": ("https://example.org/terms", False),
    "none": (None, False),
}


@pytest.mark.parametrize(("licence", "free"), TERMS.values(), ids=TERMS)
def test_a_file_needs_a_free_licence_where_commercial_use_is_required(
    licence: str | None, free: bool, tmp_path: Path
) -> None:
    file = "path: a.h5" + (f', licence: "{licence}"' if licence else "")
    overrides = [f"+weights.files.vgg16={{{file}}}", "denoise.method=nlm", "licences.allow=commercial"]
    compose(tmp_path / "p.yaml", REPOSITORY / "conf", overrides)
    lines = [str(finding) for finding in settings_findings(load_settings(tmp_path / "p.yaml"))]
    assert len(lines) == (0 if free else 1)
    for line in lines:
        assert line.startswith("weights.files.vgg16.licence: expected a licence for commercial use")
        assert (licence or "no licence stated") in line and "LicenseRef-own" in line and "\n" not in line


# Hash


@pytest.mark.parametrize(("sha256", "words"), [(SHA256, "sha256: expected abab"), (None, None)])
def test_a_file_with_another_hash_is_refused_by_check_and_by_the_stage(
    sha256: str | None, words: str | None, stage: Stage, study: Path
) -> None:
    stated = sha256 or hashlib.sha256(Path("own.weights.h5").read_bytes()).hexdigest()
    override = f"+weights.files.{NAME}={{path: own.weights.h5, convention: radimagenet, sha256: {stated}}}"
    compose(study / "params.yaml", REPOSITORY / "conf", [f"model={NAME}", override])
    findings = [str(finding) for finding in inspect(study / "params.yaml").findings]
    if words is None:
        assert findings == [] and stage(convention="radimagenet", sha256=stated).is_dir()
        return
    assert len(findings) == 1 and words in findings[0] and "\n" not in findings[0]
    with pytest.raises(BonexrayError, match=words):
        stage(sha256=stated)


# Convention


@pytest.mark.parametrize("gray", [0.0, 0.25, 1.0])
def test_radimagenet_is_bgr_less_the_mean_divided_by_255(gray: float) -> None:
    inputs = keras.ops.convert_to_numpy(to_convention(np.full((1, 1, 1, 1), gray, np.float32), "radimagenet"))
    by_hand = {0.0: [-0.40760392, -0.45795686, -0.48501961], 0.25: [-0.15760392, -0.20795686, -0.23501961]}
    assert inputs.ravel() == pytest.approx(by_hand.get(gray, (255 - MEAN_BGR) / 255), abs=1e-6)


def test_a_file_with_its_convention_gets_the_inputs_of_its_training(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stage(convention="radimagenet")
    assert distance_by_hand(folder) < 1e-3
    assert read_features_card(folder)["convention"] == "radimagenet"
    assert not own_messages(caplog)


def own_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what bonexray logged; TensorFlow logs too."""
    return [record.getMessage() for record in caplog.records if record.name == "bonexray"]


def test_a_file_without_a_convention_gets_other_inputs_and_a_warning(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stage()
    assert distance_by_hand(folder) > 0.1
    assert "convention" not in read_features_card(folder)
    (message,) = own_messages(caplog)
    assert message.startswith(f"weights.files.{NAME} states no convention:") and message.endswith(
        "published weights, tf"
    )


def test_a_stated_convention_of_the_row_changes_nothing(stage: Stage) -> None:
    silent = (stage() / FEATURES).read_bytes()
    folder = stage(convention=BACKBONES[NAME].convention)
    assert (folder / FEATURES).read_bytes() == silent and "convention" not in read_features_card(folder)


@pytest.mark.parametrize("mode", ["frozen", "full", "fine_tune"])
def test_a_model_is_rebuilt_and_served_with_the_convention(mode: str, stage: Stage) -> None:
    stage(convention="radimagenet")
    card = model_card(NAME, cohort_of(NAME, mode))
    assert card["conventions"] == {NAME: "radimagenet"}
    network = empty_network(NAME, mode, PX, len(CLASSES), SETTINGS, card["conventions"])
    folder = Path("models") / NAME
    folder.mkdir(parents=True)
    write_json(folder / MODEL_CARD, card)
    (network.get_layer("head") if mode == FROZEN else network).save_weights(folder / MODEL_WEIGHTS)
    trained = trained_network(folder)
    settings = {"train": SETTINGS, "denoise": Denoise(), "prepare": Prepare(), "versions": {}, "files": {}}
    facts = {key: card[key] for key in ("model", "mode", "classes", "img_px", "leak_suspect", "fingerprint")}
    bundle = BundleCard(format=2, **facts, **settings, conventions=card["conventions"])
    write_bundle(Bundle(bundle, trained), Path("bundle"))
    for rebuilt in (trained, open_bundle(Path("bundle")).network):
        layer = rebuilt.get_layer(f"{NAME}_encoder").get_layer(CONVENTION)
        assert (list(layer.scale), list(layer.offset)) == CONVENTIONS["radimagenet"]


def test_heat_maps_see_the_inputs_of_the_convention() -> None:
    network = empty_network(NAME, FROZEN, PX, 3, SETTINGS, {NAME: "radimagenet"})
    images = np.random.default_rng(7).random((2, PX, PX, 1), dtype=np.float32)
    (maps,) = split_network(network, NAME).feature_maps(images)
    body = network.get_layer(f"{NAME}_encoder").get_layer(NAME)
    expected = body.predict((np.repeat(images, 3, axis=-1) * 255 - MEAN_BGR) / 255, verbose=0)
    assert np.abs(keras.ops.convert_to_numpy(maps) - expected).max() < 1e-3 * expected.max()


def test_a_bundle_with_the_conventions_of_the_registry_has_the_card_of_earlier_bundles() -> None:
    facts = {"model": NAME, "mode": FROZEN, "classes": CLASSES, "img_px": PX, "leak_suspect": False, "fingerprint": ""}
    card = BundleCard(format=2, **facts, train=SETTINGS, denoise=Denoise(), prepare=Prepare(), versions={}, files={})
    assert "conventions" not in card.facts
    assert card.digest != card.model_copy(update={"conventions": {NAME: "tf"}}).digest


# Features out of range


@pytest.mark.parametrize(
    ("scale", "warns"), [(1.0, False), (0.9 * LARGEST_FEATURE, False), (2 * LARGEST_FEATURE, True)]
)
def test_features_out_of_range_warn_once(
    scale: float, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bonexray.features.extraction.log.propagate", True)
    image = keras.Input((8, 8, 1))
    features = keras.layers.Rescaling(-scale)(keras.layers.GlobalAveragePooling2D()(image))
    with caplog.at_level(logging.WARNING):
        extract_features(
            keras.Model(image, features, name="own"), np.ones((5, 8, 8), np.float32), tmp_path / "f.npy", 2
        )
    assert len(own_messages(caplog)) == warns
    assert all(text.startswith("own: features are out of range, up to 2e+04") for text in own_messages(caplog))
