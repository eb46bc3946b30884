"""`bonexray export`: the file answers validation images as the model does, or is not written."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from trained_study import FROZEN, SCRATCH
from typer.testing import CliRunner, Result

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import sha256_of
from bonexray.cli import app
from bonexray.data.predictions import read_predictions
from bonexray.networks.ordinal import Ordinal
from bonexray.registry import ORDINAL
from bonexray.serving.export import LIMITS, export_model
from bonexray.serving.formats import FORMATS, onnx_runner, tflite_runner, write_onnx, write_tflite
from bonexray.serving.study import study_bundle
from bonexray.study import load_settings

pytestmark = pytest.mark.slow

ONNX = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "tf2onnx", "onnxruntime"))), reason="needs pip install 'bonexray[onnx]'"
)
RUNNERS = {"onnx": onnx_runner, "tflite": tflite_runner, "tflite-int8": tflite_runner}
CLASSES = ["osteoporosis", "normal"]


@pytest.fixture(autouse=True)
def here(trained_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in the study's folder."""
    monkeypatch.chdir(trained_study)


def exported(kind: str, name: str, folder: Path, *more: object) -> Result:
    arguments = ["export", "--format", kind, "--model", name, "--out", str(folder), *map(str, more)]
    return CliRunner().invoke(app, arguments)


def test_every_format_has_a_limit_and_is_offered() -> None:
    assert set(FORMATS) == set(LIMITS) == set(RUNNERS)
    refused = exported("pickle", SCRATCH, Path("nowhere"))
    assert refused.exit_code == 2 and all(kind in refused.output for kind in FORMATS)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("onnx", SCRATCH, marks=ONNX),
        ("tflite", SCRATCH),
        ("tflite", FROZEN),
        ("tflite-int8", SCRATCH),
    ],
)
def test_a_file_gives_the_recorded_probabilities_of_all_images(tmp_path: Path, kind: str, name: str) -> None:
    """Of test images too, in batches of several, which the parity check does not look at."""
    done = exported(kind, name, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "100.0% of" in done.stdout and "MB (original" in done.stdout and "ms per image (original" in done.stdout
    file, card = tmp_path / "out" / FORMATS[kind], read_json(tmp_path / "out/export.json")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {file.name, "export.json"}
    assert (card["classes"], card["agreement"], card["files"]) == (CLASSES, 1.0, {file.name: sha256_of(file)})
    assert card["largest_difference"] <= LIMITS[kind] and card["denoise"]["method"] == "median"
    images = np.load("data/prepared/images.npy")[..., None]
    _, recorded = read_predictions(Path("models", name, "predictions.csv"), CLASSES)
    found = np.concatenate([RUNNERS[kind](file)(part) for part in np.split(images, [1, 9])])
    np.testing.assert_allclose(found, recorded, atol=LIMITS[kind])


@pytest.mark.parametrize("kind", [pytest.param("onnx", marks=ONNX), "tflite", "tflite-int8"])
@pytest.mark.parametrize("output", ORDINAL)
def test_every_format_has_what_ordered_classes_need(tmp_path: Path, output: str, kind: str) -> None:
    keras.utils.set_random_seed(7)
    image = keras.Input((16, 16, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(image))
    network = keras.Model(image, Ordinal(4, output, name="classes")(pooled))
    images, file = np.random.default_rng(7).random((9, 16, 16), np.float32), tmp_path / FORMATS[kind]
    if kind == "onnx":
        write_onnx(network, file)
    else:
        write_tflite(network, file, images if kind == "tflite-int8" else None)
    found = RUNNERS[kind](file)(images[..., None])
    np.testing.assert_allclose(found, network.predict_on_batch(images[..., None]), atol=LIMITS[kind])


def test_8_bits_are_smaller(tmp_path: Path) -> None:
    bundle = study_bundle(load_settings(), SCRATCH)
    plain, small = (export_model(bundle, kind, tmp_path / kind) for kind in ("tflite", "tflite-int8"))
    assert small.bytes < 0.4 * plain.bytes and plain.original_bytes == small.original_bytes
    assert plain.images == small.images > 0 and min(plain.latency_ms, plain.original_latency_ms) > 0


def test_answers_further_apart_than_allowed_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    done = exported("tflite-int8", SCRATCH, tmp_path / "out", "--most-different", "1e-9")
    assert isinstance(done.exception, BonexrayError)
    assert "1e-09" in str(done.exception) and "labels agree" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_parity_needs_the_studys_images(trained_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(trained_study, tmp_path / "study"))
    monkeypatch.chdir(copy)
    shutil.rmtree("data/prepared")
    done = exported("tflite", SCRATCH, tmp_path / "out")
    assert isinstance(done.exception, BonexrayError) and "data/prepared" in str(done.exception)


def test_a_converter_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
    done = exported("onnx", SCRATCH, tmp_path / "out")
    assert isinstance(done.exception, BonexrayError) and "bonexray[onnx]" in str(done.exception)
