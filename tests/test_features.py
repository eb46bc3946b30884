"""Test the extraction of features by a frozen backbone, and their standardisation."""

from pathlib import Path

import keras
import numpy as np
import pytest
from cohorts import AUGMENT, SETTINGS, cohort_of, lay_out_features, lay_out_images, numbers

from bonexray.augment.views import COPY, random_views
from bonexray.base.errors import BonexrayError
from bonexray.data.arrays import ArrayFile
from bonexray.data.paths import FEATURES, VIEWS
from bonexray.features.extraction import extract_features, extract_views
from bonexray.networks.heads import STANDARDIZE
from bonexray.networks.standardize import Standardize
from bonexray.networks.trainable import head_of
from bonexray.train.training import adapt

PX, WIDTH = 8, 5


def tiny_encoder() -> keras.Model:
    image = keras.Input((PX, PX, 1))
    maps = keras.layers.Conv2D(WIDTH, 3)(image)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps), name="tiny_encoder")


def images_in(folder: Path, count: int) -> ArrayFile:
    np.save(folder / "images.npy", np.random.default_rng(7).random((count, PX, PX), dtype=np.float32))
    return ArrayFile(folder / "images.npy")


def features_of(encoder: keras.Model, images: np.ndarray) -> np.ndarray:
    return encoder.predict(images[..., None], verbose=0)


# Extraction


@pytest.mark.parametrize("count", [1, 4, 10])
def test_features_equal_those_of_the_encoder_even_in_a_partial_batch(count: int, tmp_path: Path) -> None:
    encoder, images = tiny_encoder(), images_in(tmp_path, count)
    extract_features(encoder, images, tmp_path / FEATURES, batch_images=4)
    features = np.load(tmp_path / FEATURES)
    assert (features.shape, features.dtype) == ((count, WIDTH), np.float32)
    assert features == pytest.approx(features_of(encoder, images[:]), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("batch_images", [2, 3, 16])
def test_views_are_the_features_of_random_views_copy_by_copy(batch_images: int, tmp_path: Path) -> None:
    encoder, images, rows = tiny_encoder(), images_in(tmp_path, 9), np.array([1, 2, 5, 7, 8])
    extract_views(encoder, images, rows, AUGMENT, 3, tmp_path / VIEWS, batch_images)
    features = np.load(tmp_path / VIEWS)
    assert (features.shape, features.dtype) == ((15, WIDTH), np.float32)
    for copy, part in enumerate(np.split(features, 3)):
        expected = features_of(encoder, random_views(images[rows], AUGMENT, COPY, copy, rows))
        assert part == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert np.abs(features[:5] - features[5:10]).max() > 1e-3


def test_features_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.full((3, PX, PX), np.nan, np.float32))
    with pytest.raises(BonexrayError, match=r"tiny_encoder: expected finite features, received .* from image 0 on"):
        extract_features(tiny_encoder(), ArrayFile(tmp_path / "images.npy"), tmp_path / FEATURES, batch_images=4)


# Standardised features


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e6])
def test_standardised_features_have_mean_0_and_deviation_1(scale: float) -> None:
    features = (np.random.default_rng(7).normal(3, 2, (37, 5)) * scale).astype(np.float32)
    layer = Standardize()
    layer.build((None, 5))
    layer.adapt(np.array_split(features, 4))
    exact = features.astype(np.float64)
    assert numbers(layer.mean) == pytest.approx(exact.mean(axis=0), rel=1e-5)
    assert numbers(layer.std) == pytest.approx(exact.std(axis=0), rel=1e-5)
    standardized = numbers(layer(features)).astype(np.float64)
    assert standardized.mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert standardized.std(axis=0) == pytest.approx(1, abs=1e-4)


def test_a_nearly_constant_feature_does_not_outweigh_the_others() -> None:
    features = np.random.default_rng(7).normal(0, 1, (40, 9)).astype(np.float32)
    features[:, 4] *= 1e-4
    layer = Standardize()
    layer.build((None, 9))
    layer.adapt([features])
    unusual = np.zeros((1, 9), np.float32)
    unusual[0, 4] = 0.3
    assert np.abs(numbers(layer(unusual))).max() < 10


def test_a_constant_feature_keeps_its_scale() -> None:
    layer = Standardize()
    layer.build((None, 1))
    layer.adapt([np.full((3, 1), 5.0)])
    assert numbers(layer(np.array([[5.0], [6.0]]))).ravel() == pytest.approx([0, 1])


@pytest.mark.parametrize("name", ["densenet121", "resnet50_densenet121"])
def test_a_head_standardises_by_the_training_split(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out_images(PX)
    for backbone in ("resnet50", "densenet121"):
        lay_out_features(backbone)
    cohort, head = cohort_of(name, "frozen"), head_of(name, 3, SETTINGS)
    adapt(head, cohort.features("train"))
    features = [np.load(f"{folder}/{FEATURES}")[cohort.rows("train")] for folder in cohort.row.features]
    expected = np.concatenate(features, axis=1).astype(np.float64)
    layer = head.get_layer(STANDARDIZE)
    assert numbers(layer.mean) == pytest.approx(expected.mean(axis=0), rel=1e-5)
    deviation = expected.std(axis=0)
    assert numbers(layer.std) == pytest.approx(np.maximum(deviation, 0.1 * np.median(deviation)), rel=1e-5)


def test_a_head_that_does_not_standardise_is_unchanged() -> None:
    head = head_of("densenet121", 3, SETTINGS.model_copy(update={"standardize": False}))
    before = [numbers(weight).tobytes() for weight in head.weights]
    adapt(head, None)
    assert [numbers(weight).tobytes() for weight in head.weights] == before
