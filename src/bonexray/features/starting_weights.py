"""The starting weights of a backbone: seeded random ones, published weights, or a file of the user's."""

import logging
from pathlib import Path

import keras

from bonexray.backbones.encoder import TORCH_STD, build_backbone
from bonexray.backbones.weights import stored_side
from bonexray.base.errors import BonexrayError
from bonexray.features.checkpoint import read_checkpoint
from bonexray.features.published import origin, own_file, published_file
from bonexray.features.safetensors_file import SUFFIX, Tensors, require_safetensors
from bonexray.features.settings import Weights
from bonexray.registry import BACKBONES, RANDOM, builder_of

CHECKPOINT = ".pth"  # of PyTorch
log = logging.getLogger("bonexray")


def starting_backbone(name: str, settings: Weights, img_px: int | None = None) -> keras.Model:
    """Build a backbone with its starting weights, which do not depend on `img_px`.

    Args:
        name: a key of `BACKBONES`.
        settings: source, mirror, the user's files, and the seed of random weights.
        img_px: side of the images, at least the registry's, for which the network is built if its weights fit any side;
            None takes the side that weights are stored for.

    Raises:
        BonexrayError: the file cannot be read or downloaded, has another hash, or belongs to another network.
    """
    keras.utils.set_random_seed(settings.seed)
    backbone = build_backbone(name, stored_side(name, img_px or BACKBONES[name].stored_px))
    start = origin(name, settings)
    if start == "own":
        _load(backbone, name, own_file(name, settings))
        if settings.files[name].convention is None:
            log.warning(
                "weights.files.%s states no convention: its images are prepared as for published weights, %s",
                name,
                BACKBONES[name].convention,
            )
    elif start != RANDOM:
        path = published_file(name, settings.mirror)
        if path.suffix == CHECKPOINT:
            builder_of(name).assign_checkpoint(backbone, read_checkpoint(path))
        else:
            _load(backbone, name, path)
    elif settings.source == "imagenet" and not BACKBONES[name].control_of:
        log.warning("%s has no published weights and starts from random ones", name)
    return backbone


def _load(backbone: keras.Model, name: str, path: Path) -> None:
    require_safetensors(name, path)
    assign = getattr(builder_of(name), "assign_checkpoint", None)
    try:
        if path.suffix == SUFFIX and assign:
            assign(backbone, Tensors(path))
        else:
            backbone.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BonexrayError(
            str(path),
            expected=f"weights of {name} without top",
            received=reason,
            do="name the weights file of this backbone",
        ) from None
    if BACKBONES[name].module == "efficientnet":
        _rescale_as_published(backbone)


def _rescale_as_published(backbone: keras.Model) -> None:
    """Rescale the input of EfficientNet as its ImageNet weights expect.

    They were trained on (x - mean) / variance, while the network divides by the standard deviation. Keras appends a
    second division when it loads the weights itself; here the variance is multiplied by the deviation to the same end.
    """
    layer = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    variance = keras.ops.convert_to_numpy(layer.adapt_variance)
    deviation = keras.ops.convert_to_numpy(keras.ops.cast(TORCH_STD, "float32"))
    if abs(variance - deviation**2).max() < 1e-4:  # ImageNet statistics that are not rescaled yet
        layer.adapt_variance.assign(variance * deviation)
        layer.finalize_state()
