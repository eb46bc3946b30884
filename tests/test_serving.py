"""Bundles predict as their study did, and changed bundles are refused."""

import io
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from trained_study import FROZEN, SCRATCH

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json, write_json
from bonexray.base.hashing import digest, sha256_of
from bonexray.data.predictions import read_predictions
from bonexray.denoise.filters import FILTERS, filter_of
from bonexray.denoise.store import as_stored, from_png
from bonexray.images.radiograph import UnreadableImage
from bonexray.images.reading import bounded, read_image, write_png16
from bonexray.prepare.resizing import prepare_image
from bonexray.serving.bundle import CARD, FACTS, WEIGHTS, checked_card, open_bundle, write_bundle
from bonexray.serving.predictor import Predictor
from bonexray.serving.reading import Reading
from bonexray.serving.study import chosen_model, study_bundle
from bonexray.study import Settings, load_settings

NAMES = (FROZEN, SCRATCH)
PAGE = "# A card\n"
FRESH = """
import sys
import numpy as np
from bonexray.serving.predictor import Predictor
folder, out, *images = sys.argv[1:]
np.save(out, np.stack([answer.probabilities for answer in Predictor.open(folder).predict(images)]))
"""


@pytest.fixture(scope="module")
def settings(trained_study: Path) -> Settings:
    return load_settings(trained_study / "params.yaml")


@pytest.fixture(scope="module")
def bundles(trained_study: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder outside the study with a bundle of each of its models."""
    target = tmp_path_factory.mktemp("bundles")
    with chdir(trained_study):
        page = Path("reports/cards", f"{FROZEN}.md")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(PAGE)
        for name in NAMES:
            write_bundle(study_bundle(settings, name), target / name)
    return target


@pytest.fixture
def copied(bundles: Path, tmp_path: Path) -> Path:
    """Return a copy of a bundle for a test to change."""
    return Path(shutil.copytree(bundles / SCRATCH, tmp_path / "bundle"))


def recorded(study: Path, name: str) -> tuple[list[Path], np.ndarray]:
    """Return the study's images and the probabilities that a training recorded."""
    rows, probabilities = read_predictions(study / "models" / name / "predictions.csv", ["osteoporosis", "normal"])
    return [study / "data/raw" / path for path in rows["path"]], probabilities


# Answers


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_process_reproduces_the_trainings_probabilities_from_the_files_alone(
    trained_study: Path, bundles: Path, tmp_path: Path, name: str
) -> None:
    paths, probabilities = recorded(trained_study, name)
    images = [shutil.copy(path, tmp_path / f"{place}.png") for place, path in enumerate(paths)]
    moved = shutil.copytree(bundles / name, tmp_path / "elsewhere")
    command = [sys.executable, "-c", FRESH, str(moved), "out.npy", *map(str, images)]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), probabilities, atol=1e-5)


def test_a_bundle_holds_the_backbones_the_card_and_no_code(bundles: Path) -> None:
    card = checked_card(bundles / FROZEN)
    assert (card.classes, card.mode, card.denoise.method) == (["osteoporosis", "normal"], "frozen", "median")
    assert open_bundle(bundles / FROZEN).page == PAGE
    assert {path.name for path in (bundles / SCRATCH).iterdir()} == {CARD, FACTS, WEIGHTS}
    assert (bundles / FROZEN / WEIGHTS).stat().st_size > 8_000_000
    for path in bundles.glob("*/*"):
        with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError, IndexError)):
            pickle.loads(path.read_bytes())


def test_the_bytes_are_the_same_every_time(trained_study: Path, bundles: Path, tmp_path: Path) -> None:
    again = write_bundle(open_bundle(bundles / SCRATCH), tmp_path / "again")
    assert again.digest == checked_card(bundles / SCRATCH).digest
    assert sha256_of(tmp_path / "again" / CARD) == sha256_of(bundles / SCRATCH / CARD)


def test_paths_bytes_and_arrays_of_an_image_get_the_same_prediction(trained_study: Path, bundles: Path) -> None:
    path = recorded(trained_study, SCRATCH)[0][0]
    levels = np.asarray(Image.open(path)).astype(np.uint16)
    sources = [path, str(path), path.read_bytes(), levels, read_image(path), read_image(path).astype(np.float64)]
    first, *others = Predictor.open(bundles / SCRATCH).predict(sources)
    assert all(
        other.label == first.label and np.array_equal(other.probabilities, first.probabilities) for other in others
    )


def test_an_unreadable_image_has_a_reason_and_changes_no_other_prediction(trained_study: Path, bundles: Path) -> None:
    good, predictor = recorded(trained_study, SCRATCH)[0][:3], Predictor.open(bundles / SCRATCH)
    bad = [
        b"",
        np.zeros((9, 9)),
        np.full((4, 4), np.nan),
        np.ones((2, 2, 2), np.uint8),
        np.zeros((0, 3)),
        Path("none.png"),
    ]
    answers = predictor.predict([bad[0], good[0], *bad[1:4], good[1], good[2], *bad[4:]])
    assert [answer.label is None for answer in answers] == [True, False, True, True, True, False, False, True, True]
    assert all((answer.reason is None) == (answer.label is not None) for answer in answers)
    expected = [answer.probabilities for answer in predictor.predict(good)]
    np.testing.assert_allclose([a.probabilities for a in answers if a.label], expected, atol=1e-6)


def test_heat_maps_come_with_the_networks_input(trained_study: Path, bundles: Path, settings: Settings) -> None:
    paths = recorded(trained_study, FROZEN)[0][:2]
    for path, answer in zip(paths, Predictor.open(bundles / FROZEN).answers(paths, heat=True), strict=True):
        assert answer.heat.shape == answer.image.shape == (32, 32)
        assert answer.heat.min() >= 0 and answer.heat.max() <= 1
        np.testing.assert_array_equal(answer.image, Reading(settings.denoise, settings.prepare).prepared(path))


@pytest.mark.parametrize("most", [1, 2, 5])
def test_the_batch_size_changes_no_prediction(trained_study: Path, bundles: Path, most: int) -> None:
    paths, expected = recorded(trained_study, SCRATCH)
    answers = Predictor(open_bundle(bundles / SCRATCH), batch_images=most).predict(paths[:7])
    np.testing.assert_allclose([answer.probabilities for answer in answers], expected[:7], atol=1e-5)


# What is done to an image before the network


def test_preprocessing_is_that_of_the_stages(trained_study: Path, settings: Settings) -> None:
    reading = Reading(settings.denoise, settings.prepare)
    known = np.load(trained_study / "data/prepared/images.npy")
    manifest = pd.read_csv(trained_study / "data/split/manifest.csv")
    for path, image in zip(manifest["path"], known, strict=True):
        found = reading.prepared(trained_study / "data/raw" / path)
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("method", sorted(set(FILTERS) - {"bm3d"}))
def test_every_filter_is_rounded_as_the_stages_round(settings: Settings, tmp_path: Path, method: str) -> None:
    """The expected image goes through the files of the stages, unlike the code under test."""
    options = settings.denoise.model_copy(update={"method": method, "working_px": 40})
    write_png16(tmp_path / "image.png", np.random.default_rng(3).random((50, 44)) ** 2)
    write_png16(tmp_path / "stage.png", filter_of(options)(bounded(read_image(tmp_path / "image.png"), 40)))
    expected = prepare_image(read_image(tmp_path / "stage.png"), settings.prepare)
    np.testing.assert_array_equal(Reading(options, settings.prepare).prepared(tmp_path / "image.png"), expected)


@given(arrays(np.float32, (4, 5), elements=st.floats(-0.5, 1.5, width=32)))
def test_rounding_is_that_of_a_png_of_16_bits(pixels: np.ndarray) -> None:
    png = io.BytesIO()
    write_png16(png, pixels)
    np.testing.assert_array_equal(as_stored(pixels), from_png(png.getvalue()))


def test_a_colour_array_is_read_like_its_file(settings: Settings) -> None:
    colour = np.random.default_rng(3).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    png = io.BytesIO()
    Image.fromarray(colour).save(png, format="PNG")
    reading = Reading(settings.denoise, settings.prepare)
    np.testing.assert_array_equal(reading.prepared(colour), reading.prepared(png.getvalue()))


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((5, 5), 2.0),
        np.full((5, 5), 0.5),
        np.zeros((5,)),
        np.zeros((5, 5), np.int64),
        np.zeros((5, 5, 3), np.uint16),
    ],
)
def test_unsupported_pixels_are_refused(settings: Settings, pixels: np.ndarray) -> None:
    reading = Reading(settings.denoise, settings.prepare)
    with pytest.raises(UnreadableImage):
        reading.prepared(pixels)
    assert isinstance(reading(pixels), str)


# Folders that are not as they were written


def edited(folder: Path, **changes: object) -> None:
    write_json(folder / CARD, {**read_json(folder / CARD), **changes})


def resealed(folder: Path, **changes: object) -> None:
    """Change a card together with its digest."""
    content = {**read_json(folder / CARD), **changes}
    content.pop("digest")
    write_json(folder / CARD, {**content, "digest": digest(content)})


def change_weights(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def link_out(folder: Path) -> None:
    shutil.move(folder / WEIGHTS, folder.parent / "outside.h5")
    (folder / WEIGHTS).symlink_to(folder.parent / "outside.h5")


def name_a_file_outside(folder: Path) -> None:
    shutil.copy(folder / WEIGHTS, folder.parent / "outside.h5")
    files = {**read_json(folder / CARD)["files"], "../outside.h5": sha256_of(folder / WEIGHTS)}
    resealed(folder, files=files)


def swap_the_classes(folder: Path) -> None:
    edited(folder, classes=["normal", "osteoporosis"])


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed weights": change_weights,
    "a changed class map": swap_the_classes,
    "changed preprocessing": lambda folder: edited(folder, prepare={"img_px": 32, "resize": "stretch"}),
    "no weights": lambda folder: (folder / WEIGHTS).unlink(),
    "a file too many": lambda folder: (folder / "model.pkl").write_bytes(b"x"),
    "a folder too many": lambda folder: (folder / "more").mkdir(),
    "a link out of the folder": link_out,
    "a path out of the folder": name_a_file_outside,
    "a card that names no weights": lambda folder: resealed(folder, files={}),
    "an unknown key": lambda folder: resealed(folder, code="import os"),
    "no card": lambda folder: (folder / CARD).unlink(),
    "a card that is no JSON": lambda folder: (folder / CARD).write_text("{"),
    "a card that is a list": lambda folder: (folder / CARD).write_text("[]"),
    "the format of version 0.1.0": lambda folder: resealed(folder, format=1),
    "weights of another network": lambda folder: resealed(folder, model="custom_cnn", img_px=80),
}


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras, of weights that do not fit
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_bundle_is_refused_in_one_line(copied: Path, change: Callable[[Path], object]) -> None:
    change(copied)
    with pytest.raises(BonexrayError) as refused:
        open_bundle(copied)
    assert str(copied) in str(refused.value) and "\n" not in str(refused.value)


def test_other_library_versions_are_reported(
    copied: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    open_bundle(copied)
    assert not caplog.messages
    resealed(copied, versions={**read_json(copied / CARD)["versions"], "keras": "2.0.0"})
    open_bundle(copied)
    assert "keras 2.0.0" in caplog.messages[0]


# The study that a bundle comes from


@pytest.fixture
def other_study(trained_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the study for a test to change, its working directory."""
    copy = Path(shutil.copytree(trained_study, tmp_path / "study"))
    monkeypatch.chdir(copy)
    return copy


def test_settings_that_the_model_was_not_trained_with_are_refused(other_study: Path, settings: Settings) -> None:
    for part, change in (
        ("denoise", {"method": "none"}),
        ("prepare", {"resize": "stretch"}),
        ("prepare", {"img_px": 48}),
    ):
        section = getattr(settings, part).model_copy(update=change)
        with pytest.raises(BonexrayError, match="dvc repro"):
            study_bundle(settings.model_copy(update={part: section}), FROZEN)


def test_weights_that_do_not_reproduce_the_recorded_probabilities_are_refused(
    other_study: Path, settings: Settings
) -> None:
    network = study_bundle(settings, SCRATCH).network
    for weight in network.trainable_weights[-2:]:
        weight.assign(weight + 0.5 * np.arange(weight.shape[-1]))
    network.save_weights(f"models/{SCRATCH}/model.weights.h5")
    with pytest.raises(BonexrayError, match=r"predictions\.csv"):
        study_bundle(settings, SCRATCH)


def test_a_bundle_can_be_written_without_the_images(other_study: Path, settings: Settings) -> None:
    shutil.rmtree("data")
    assert study_bundle(settings, SCRATCH).card.model == SCRATCH


def test_missing_models_and_results_are_reported(other_study: Path, settings: Settings) -> None:
    with pytest.raises(BonexrayError, match=f"vgg16.*{SCRATCH}.*{FROZEN}.*dvc repro"):
        study_bundle(settings, "vgg16")
    assert chosen_model() == FROZEN
    Path("metrics/headline.json").unlink()
    with pytest.raises(BonexrayError, match="dvc repro"):
        chosen_model()


def test_the_card_describes_the_preprocessing_in_json(bundles: Path) -> None:
    card = json.loads((bundles / FROZEN / CARD).read_text())
    assert {"classes", "mode", "img_px", "denoise", "prepare", "versions", "files", "digest"} <= set(card)
    assert card["files"][WEIGHTS] == sha256_of(bundles / FROZEN / WEIGHTS)
