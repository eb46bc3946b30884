"""Test the starting weights of backbones: random, from a file, or published."""

import contextlib
import dataclasses
import hashlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import keras_hub
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from small_networks import (
    CLASSES,
    SETTINGS,
    encoder_of,
    images,
    large_are_slow,
    numbers,
    published_preprocessing,
    same_weights,
)

from bonexray.backbones.encoder import TORCH_STD, build_backbone, build_encoder
from bonexray.backbones.weights import load_starting_weights, resized
from bonexray.base.errors import BonexrayError
from bonexray.data.paths import weights_path
from bonexray.features.checkpoint import read_checkpoint
from bonexray.features.published import origin, published_file
from bonexray.features.settings import Weights
from bonexray.features.starting_weights import starting_backbone
from bonexray.networks.trainable import build_trainable
from bonexray.registry import BACKBONES, SCRATCH

SMALL = "mobilenet_v2"
PACKAGED = "efficientnet_lite0"
KERAS_FUNCTIONS = {
    "convnext_tiny": "ConvNeXtTiny",
    "convnext_base": "ConvNeXtBase",
    "efficientnet_v2_b0": "EfficientNetV2B0",
}  # of backbones that we build from Keras's with changes
every_published_by_keras = pytest.mark.parametrize(
    "name", [name for name, row in BACKBONES.items() if row.published and row.module]
)


@pytest.fixture(autouse=True)
def study_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder and remove it afterwards: a test leaves up to 200 MB."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with contextlib.chdir(tmp_path):
        weights_path(SMALL).parent.mkdir()
        yield tmp_path
    shutil.rmtree(tmp_path)


def random(seed: int) -> Weights:
    return Weights(source="random", mirror=None, files={}, seed=seed)


def from_file(file: Path | str, name: str = SMALL, source: str = "random") -> Weights:
    return Weights(source=source, mirror=None, files={name: str(file)}, seed=7)


def imagenet(mirror: str | None = None) -> Weights:
    return Weights(source="imagenet", mirror=mirror, files={}, seed=7)


def packaged() -> Weights:
    return Weights(source="packaged", mirror=None, files={}, seed=7)


def test_the_origin_is_the_users_file_or_else_the_source_where_it_has_weights() -> None:
    settings = from_file("own.weights.h5", name="vgg16", source="imagenet")
    assert [origin(name, settings) for name in ("vgg16", "vgg19", "vit_tiny")] == ["own", "imagenet", "random"]
    assert origin("vgg19", from_file("own.weights.h5", name="vgg16")) == "random"


@pytest.mark.parametrize(
    ("source", "expected"),
    [("packaged", ["imagenet", "random"]), ("imagenet", ["imagenet", "imagenet"]), ("random", ["random", "random"])],
)
def test_packaged_weights_are_used_unless_all_are_random(source: str, expected: list[str]) -> None:
    settings = packaged().model_copy(update={"source": source})
    assert [origin(name, settings) for name in (PACKAGED, "vgg16")] == expected


# Random


def random_file(name: str, seed: int) -> bytes:
    keras.backend.clear_session()  # Keras numbers the layers of a process, and the file holds their names
    file = Path("random.weights.h5")
    starting_backbone(name, random(seed)).save_weights(file)
    return file.read_bytes()


def test_random_weights_are_the_same_bytes_only_for_the_same_seed() -> None:
    first, second, other = (random_file(SMALL, seed) for seed in (7, 7, 8))
    assert first == second != other


@pytest.mark.parametrize("name", large_are_slow(name for name, row in BACKBONES.items() if row.stored_px == row.min_px))
def test_random_weights_depend_only_on_the_seed(name: str) -> None:
    assert same_weights(starting_backbone(name, random(7)), encoder_of(name).get_layer(name))


# From a file


@pytest.mark.parametrize("source", ["random", "imagenet"])
def test_a_file_takes_precedence_over_the_source(source: str) -> None:
    backbone = starting_backbone(SMALL, random(1))
    backbone.save_weights("other_seed.weights.h5")
    assert same_weights(backbone, starting_backbone(SMALL, from_file("other_seed.weights.h5", source=source)))


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_file_of_another_network_is_refused_in_one_line() -> None:
    build_trainable("compact_cnn", SCRATCH, 16, CLASSES, SETTINGS).save_weights("other.weights.h5")
    with pytest.raises(BonexrayError, match=r"other\.weights\.h5: expected weights of mobilenet_v2") as refusal:
        starting_backbone(SMALL, from_file("other.weights.h5"))
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("other", ["resnet18", "vgg16"])
def test_a_file_of_another_backbone_is_refused(other: str) -> None:
    encoder_of(other).get_layer(other).save_weights("other.weights.h5")
    with pytest.raises(BonexrayError, match="expected weights of mobilenet_v2"):
        starting_backbone(SMALL, from_file("other.weights.h5"))


@pytest.mark.parametrize("name", ["text.weights.h5", "text.h5", "text.pth"])
def test_a_file_without_weights_is_refused(name: str) -> None:
    Path(name).write_text("not weights")
    with pytest.raises(BonexrayError, match="expected weights of mobilenet_v2"):
        starting_backbone(SMALL, from_file(name))


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(BonexrayError, match=r"received no such file: absent\.weights\.h5"):
        starting_backbone(SMALL, from_file("absent.weights.h5"))


# Published


def side_of(name: str) -> int:
    """Return a side at which feature maps exceed one pixel, so that pooling before or after a norm differs."""
    return max(BACKBONES[name].min_px, 64)


def network_of_keras(name: str, weights: str | None) -> keras.Model:
    """Build a backbone as Keras does, from pixels to pooled features."""
    px = side_of(name)
    build = getattr(keras.applications, KERAS_FUNCTIONS.get(name, BACKBONES[name].builder))
    return build(include_top=False, input_shape=(px, px, 3), pooling="avg", weights=weights)


def resnet18_of_keras_hub() -> keras.Model:
    """Build ResNet-18 with the configuration of its preset."""
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )


def randomise(network: keras.Model) -> None:
    """Assign random weights, and ImageNet statistics to the normalisation of the input."""
    rng = np.random.default_rng(7)
    for weight in network.weights:
        if weight.path.startswith("normalization") and weight.name in ("mean", "variance"):
            mean, std = np.array([0.485, 0.456, 0.406]), np.array(TORCH_STD)
            weight.assign(mean if weight.name == "mean" else std**2)
        elif weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))


def mirrored_path(name: str, mirror: Path) -> Path:
    file = mirror / BACKBONES[name].published.file
    file.parent.mkdir(parents=True)
    return file


def trust(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the registry expect the hash of a file, if it expects a hash."""
    row = BACKBONES[name]
    if row.published.hash:
        kind = {32: hashlib.md5, 64: hashlib.sha256}[len(row.published.hash)]
        published = dataclasses.replace(row.published, hash=kind(file.read_bytes()).hexdigest())
        monkeypatch.setitem(BACKBONES, name, dataclasses.replace(row, published=published))


def encoder_from_mirror(name: str, mirror: Path) -> keras.Model:
    """Build an encoder with published weights, pinned as the features stage pins them."""
    starting_backbone(name, imagenet(str(mirror))).save_weights(weights_path(name))
    encoder = build_encoder(name, side_of(name))
    load_starting_weights(encoder.get_layer(name), name)
    return encoder


def assert_same_features(encoder: keras.Model, gray: np.ndarray, expected: np.ndarray) -> None:
    scale = expected.std()
    assert scale > 0
    assert numbers(encoder(gray)) / scale == pytest.approx(expected / scale, rel=1e-4, abs=1e-4)


@pytest.mark.slow
@every_published_by_keras
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
def test_published_weights_give_the_same_features_as_in_keras(
    name: str, study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, file = BACKBONES[name].published, mirrored_path(name, study_folder / "mirror")
    keras.utils.set_random_seed(11)
    network = network_of_keras(name, weights=None)
    randomise(network)
    with h5py.File(file, "w") as group:
        legacy_h5_format.save_weights_to_hdf5_group(group, network)
    downloads = []

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_options: object) -> str:
        downloads.append((fname, origin, file_hash))
        return str(file)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    gray = images(side_of(name))
    pixels = published_preprocessing(name, np.repeat(gray, 3, axis=-1) * 255)
    expected = numbers(network_of_keras(name, weights="imagenet")(pixels))
    assert downloads == [(published.file, published.url, published.hash)]
    trust(name, file, monkeypatch)
    assert_same_features(encoder_from_mirror(name, study_folder / "mirror"), gray, expected)


def test_published_weights_of_resnet18_give_the_same_features_as_in_keras_hub(study_folder: Path) -> None:
    name, gray = "resnet18", images(side_of("resnet18"))
    file = mirrored_path(name, study_folder / "mirror")
    handle = keras_hub.models.ResNetBackbone.presets[file.parent.name]["kaggle_handle"]
    assert BACKBONES[name].published.url == f"{handle}#{file.name}"
    keras.utils.set_random_seed(11)
    network = resnet18_of_keras_hub()
    randomise(network)
    network.save_weights(file)
    pixels = published_preprocessing(name, np.repeat(gray, 3, axis=-1) * 255)
    expected = numbers(network(pixels)).mean(axis=(1, 2))
    assert_same_features(encoder_from_mirror(name, study_folder / "mirror"), gray, expected)


# Of the authors' network on `pattern`, computed once with PyTorch 2.14.1 and efficientnet-lite-pytorch 0.1.0, whose
# padding depends on the side: EfficientNet.from_pretrained("efficientnet-lite0", weights_path=<file>, image_size=px)
# .eval(), of (x - 127) / 128. Of the 1280 averages of extract_features, every 64th; of the 1000 logits, the highest.
REFERENCES = {
    224: (
        [
            4.4609,
            0.0,
            0.0,
            0.0,
            0.41497,
            0.0,
            0.02166,
            0.03416,
            0.0,
            2.03405,
            0.0,
            0.63463,
            0.0,
            0.6453,
            0.0,
            0.03216,
            0.14835,
            0.59006,
            0.0,
            0.90874,
        ],
        632,
        7.49362,
    ),
    96: (
        [
            5.99765,
            0.0,
            0.0,
            0.0,
            3.19415,
            0.0,
            0.92772,
            0.0,
            0.0,
            0.51243,
            0.0,
            3.23542,
            0.0,
            5.02479,
            1.01498,
            0.0,
            0.0,
            0.10674,
            0.0,
            0.32916,
        ],
        811,
        22.30446,
    ),
}


def pattern(px: int) -> np.ndarray:
    """Return a fixed image (px, px) of integers from 0 to 254."""
    y, x = np.mgrid[:px, :px]
    return (3 * x * x + 5 * y * y + x * y) // 16 % 255


@pytest.mark.parametrize("px", REFERENCES)
def test_packaged_weights_give_the_features_and_logits_of_the_original(px: int) -> None:
    features_expected, label, logit = REFERENCES[px]
    starting_backbone(PACKAGED, packaged()).save_weights(weights_path(PACKAGED))
    encoder = build_encoder(PACKAGED, px)
    load_starting_weights(encoder.get_layer(PACKAGED), PACKAGED)
    features = numbers(encoder((pattern(px) / 255).astype(np.float32)[None, ..., None]))[0]
    assert features[::64] == pytest.approx(features_expected, abs=2e-4)
    top = read_checkpoint(published_file(PACKAGED, None))
    logits = features @ top["_fc.weight"].T + top["_fc.bias"]
    assert logits.argmax() == label
    assert logits.max() == pytest.approx(logit, abs=1e-3)


def test_the_input_of_efficientnet_is_rescaled_only_once() -> None:
    name = "efficientnet_b0"
    backbone = build_backbone(name, BACKBONES[name].stored_px)
    randomise(backbone)
    backbone.save_weights("published.weights.h5")
    once = starting_backbone(name, from_file("published.weights.h5", name))
    once.save_weights("once.weights.h5")
    twice = starting_backbone(name, from_file("once.weights.h5", name))
    assert numbers(once.layers[2].variance).ravel() == pytest.approx(np.array(TORCH_STD) ** 3)
    assert same_weights(once, twice)


def test_a_backbone_without_published_weights_starts_from_random_ones_with_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    with caplog.at_level(logging.WARNING, "bonexray"):
        backbone = starting_backbone("vit_tiny", imagenet())
    assert caplog.messages == ["vit_tiny has no published weights and starts from random ones"]
    caplog.clear()
    assert same_weights(backbone, starting_backbone("vit_tiny", random(7)))
    assert caplog.messages == []


@pytest.mark.parametrize("source", ["packaged", "imagenet", "random"])
def test_a_control_is_its_pretrained_backbone_at_random_whatever_the_source(
    source: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bonexray"), "propagate", True)
    control = starting_backbone("efficientnet_lite0_random", packaged().model_copy(update={"source": source}))
    assert same_weights(control, starting_backbone(PACKAGED, random(7)))
    assert not same_weights(control, starting_backbone(PACKAGED, packaged()))
    assert caplog.messages == []


def test_weights_are_loaded_at_another_size() -> None:
    stored = starting_backbone(SMALL, random(3))
    stored.save_weights(weights_path(SMALL))
    backbone = build_backbone(SMALL, 48)
    load_starting_weights(backbone, SMALL)
    assert same_weights(stored, backbone)


@pytest.mark.parametrize("name", [SMALL, "convnext_tiny", "vit_tiny"])
def test_a_backbone_built_for_the_images_has_the_weights_that_its_file_gives(name: str) -> None:
    stored = starting_backbone(name, random(3))
    stored.save_weights(weights_path(name))
    loaded = build_backbone(name, 64)
    load_starting_weights(loaded, name)
    network = resized(starting_backbone(name, random(3), 64), name, 64)
    assert network.input_shape[1:3] == (64, 64)
    assert same_weights(loaded, network)
