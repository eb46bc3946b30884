"""Networks of the registry at their smallest size, each built once for all tests, and helpers to inspect them."""

import functools
import importlib
from collections.abc import Iterable

import keras
import keras_hub
import numpy as np
import pytest
from keras.src.applications.imagenet_utils import preprocess_input

from bonexray.backbones.encoder import build_encoder
from bonexray.networks.trainable import build_trainable
from bonexray.registry import BACKBONES, REGISTRY, SCRATCH, model_row
from bonexray.train.settings import Train

CLASSES = 3
SETTINGS = Train(
    head="standard",
    standardize=True,
    output="softmax",
    loss="cross_entropy",
    focal_gamma=2.0,
    label_smoothing=0.0,
    class_weights="none",
    epochs=1,
    batch_images=2,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="constant",
    warmup_epochs=0,
    lr_factor=0.5,
    lr_patience=1,
    min_lr=0.0,
    dropout=0.5,
    dropout_2=0.3,
    patience=1,
    mixed_precision=False,
    deterministic=True,
    repeats=1,
    seed=7,
)
SCRATCH_MODELS = [name for name, row in REGISTRY.items() if row.modes == (SCRATCH,)]
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HUB_CONVERTERS = {  # of KerasHub, which converts timm's ResNets with these statistics
    "vit_tiny": keras_hub.layers.ViTImageConverter(scale=1 / 127.5, offset=-1.0),
    "resnet18": keras_hub.layers.ResNetImageConverter(
        scale=[1 / 255 / std for std in _STD], offset=[-mean / std for mean, std in zip(_MEAN, _STD, strict=True)]
    ),
}
LARGE = {"convnext_base", "dinov2_base", "siglip2_base", "medsiglip", "rad_dino"}  # 86 to 410 million parameters
every_model = pytest.mark.parametrize("name", REGISTRY)
every_scratch_model = pytest.mark.parametrize("name", SCRATCH_MODELS)


def large_are_slow(names: Iterable[str]) -> list:
    """Return names as parameters of a test that builds the backbones, with those of large ones marked as slow."""
    return [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in names]


every_backbone = pytest.mark.parametrize("name", large_are_slow(BACKBONES))


def with_settings(**changes: object) -> Train:
    return SETTINGS.model_copy(update=changes)


def build(
    name: str, mode: str, settings: Train = SETTINGS, blocks: dict[str, str] | None = None, seed: int = 7
) -> keras.Model:
    """Build a model of the registry for images of its smallest size."""
    keras.utils.set_random_seed(seed)
    return build_trainable(name, mode, model_row(name).smallest_px, CLASSES, settings, blocks)


network_of = functools.cache(build)


@functools.cache
def encoder_of(name: str) -> keras.Model:
    keras.utils.set_random_seed(7)
    return build_encoder(name, BACKBONES[name].min_px)


def first_mode(name: str) -> str:
    """Return the cheapest mode of a model: frozen, or scratch where it has no backbones."""
    return model_row(name).modes[0]


def images(px: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(7).random((count, px, px, 1), dtype=np.float32)


def numbers(tensor: object) -> np.ndarray:
    """Return a copy of a tensor or a variable as an array."""
    return np.array(keras.ops.convert_to_numpy(tensor))


def inputs_of(network: keras.Model, count: int = 4) -> list[np.ndarray] | np.ndarray:
    """Return random inputs in the structure that a network was built with."""
    rng = np.random.default_rng(7)
    arrays = [rng.random((count, *entry.shape[1:]), dtype=np.float32) for entry in network.inputs]
    return arrays if isinstance(network.input, list) else arrays[0]


def outputs_of(network: keras.Model, inputs: list[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the outputs of a network in inference."""
    return numbers(network(inputs, training=False))


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.weights, other.weights, strict=True)
    return all(np.array_equal(numbers(a), numbers(b)) for a, b in pairs)


def changed_by_a_step(network: keras.Model) -> set[int]:
    """Train one step and return the ids of the weights that it changed."""
    before = [numbers(weight) for weight in network.weights]
    network.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", run_eagerly=True)  # tracing is slow
    network.train_on_batch(inputs_of(network), np.array([0, 1, 2, 0]))
    pairs = zip(network.weights, before, strict=True)
    return {id(weight) for weight, old in pairs if not np.array_equal(numbers(weight), old)}


def ids(weights: list) -> set[int]:
    return {id(weight) for weight in weights}


def kernels(weights: list) -> set[int]:
    return {id(weight) for weight in weights if weight.name.endswith("kernel")}


def kinds(network: keras.Model) -> list[str]:
    """Return the class names of a network's layers, inputs aside."""
    return [type(layer).__name__ for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]


def published_preprocessing(name: str, rgb: np.ndarray) -> np.ndarray:
    """Prepare pixels in [0, 255] as a backbone's publisher does, or as its convention says where it has none."""
    row = BACKBONES[name]
    if row.module:
        return importlib.import_module(f"keras.applications.{row.module}").preprocess_input(rgb)
    if row.convention == "lite":
        return (rgb - 127) / 128  # https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    if name in HUB_CONVERTERS:
        return numbers(HUB_CONVERTERS[name](rgb))
    return rgb if row.convention == "0-255" else preprocess_input(rgb, mode=row.convention)
