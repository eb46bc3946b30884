"""Test that encoders give the features of their publishers' networks for files in the published layout."""

import importlib.util
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from published_encoders import ENCODERS, features_of_transformers, publish, tensors
from safetensors.numpy import save_file
from small_networks import large_are_slow, numbers

from bonexray.backbones.encoder import encoder_around
from bonexray.backbones.weights import resized
from bonexray.base.errors import BonexrayError
from bonexray.features.settings import Weights
from bonexray.features.starting_weights import starting_backbone
from bonexray.registry import BACKBONES

SIDES = {"deit_tiny": 96, "dinov2_small": 126, "swin_tiny": 224, "siglip2_base": 96, "rad_dino": 70}
every_encoder = pytest.mark.parametrize("name", large_are_slow(ENCODERS))
# 16 of the features, evenly spaced, by `features_of_transformers` with PyTorch 2.13.0 and transformers 5.24.0.
REFERENCES = {
    "deit_tiny": "0.93329 0.46076 0.59857 -0.00387 -0.05167 -0.14778 -2.02460 -0.61434 "
    "-0.22772 0.21917 -0.22039 0.14844 -0.57724 1.06787 -1.03326 -0.11659",
    "dinov2_small": "-0.44054 0.48400 -0.61508 0.90492 -0.29790 0.18231 0.45232 -0.28955 "
    "0.94705 0.26428 -0.60127 0.08580 -0.81829 -1.54119 0.14154 2.04659",
    "swin_tiny": "-2.19100 -2.34089 -0.69416 0.02391 -0.67451 0.74440 0.42002 0.35268 "
    "-0.26900 -0.47132 -1.29965 0.66981 -0.00813 -0.41470 -0.83182 0.92486",
    "siglip2_base": "0.27548 0.36380 0.08430 1.04352 -0.22476 -0.54255 0.65341 -0.69828 "
    "0.09757 -0.59378 0.88210 -0.33523 1.04964 0.58588 1.79319 -1.12158",
    "rad_dino": "-0.04040 -0.44480 0.49854 -0.01523 0.43789 0.12051 0.07064 0.03393 "
    "-0.89240 -0.57010 -0.08864 -0.09627 0.16473 -0.85288 0.21966 -0.02227",
}


def reference(name: str) -> list[float]:
    return [float(number) for number in REFERENCES[name].split()]


def pattern(px: int) -> np.ndarray:
    """Return a fixed image, float32 (px, px) in [0, 1]."""
    y, x = np.mgrid[:px, :px]
    return ((3 * x * x + 5 * y * y + x * y) // 16 % 255 / 255).astype(np.float32)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, and return one for published files."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mirror"


def features_of(name: str, settings: Weights) -> np.ndarray:
    """Return the features (width,) of the pattern by an encoder as the stage `features` builds it."""
    encoder: keras.Model = encoder_around(resized(starting_backbone(name, settings), name, SIDES[name]), name)
    return numbers(encoder(pattern(SIDES[name])[None, ..., None]))[0]


@every_encoder
def test_a_published_file_gives_the_features_of_pytorch(name: str, mirror: Path) -> None:
    publish(name, mirror)
    features = features_of(name, Weights(source="imagenet", mirror=str(mirror)))
    assert features[:: len(features) // 16] == pytest.approx(reference(name), abs=1e-4)


@every_encoder
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers"))), reason="needs torch and transformers"
)
def test_the_features_of_pytorch_are_those_written_down(name: str, mirror: Path) -> None:
    expected = features_of_transformers(name, publish(name, mirror).parent, pattern(SIDES[name]))
    assert expected[:: len(expected) // 16] == pytest.approx(reference(name), abs=2e-5)
    features = features_of(name, Weights(source="imagenet", mirror=str(mirror)))
    assert features == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "published"),
    [("deit_tiny", 5_717_416), ("dinov2_small", 22_056_576), ("swin_tiny", 28_288_354), ("rad_dino", 86_580_480)],
)
def test_files_in_the_published_layout_have_as_many_numbers_as_those_of_the_publishers(
    name: str, published: int
) -> None:
    assert sum(math.prod(shape) for shape in ENCODERS[name].shapes.values()) == published


def test_a_file_of_ones_own_may_have_the_published_layout(mirror: Path) -> None:
    path = publish("deit_tiny", mirror)
    own = features_of("deit_tiny", Weights(source="random", files={"deit_tiny": str(path)}))
    assert own[::12] == pytest.approx(reference("deit_tiny"), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "file_of", "reason"),
    [
        ("deit_tiny", "dinov2_small", "cannot reshape"),
        ("dinov2_small", "deit_tiny", "cannot reshape"),
        ("swin_tiny", "deit_tiny", "must match"),
        ("vgg16", "deit_tiny", ""),
    ],
)
def test_the_file_of_another_encoder_is_refused_in_one_line(name: str, file_of: str, reason: str, mirror: Path) -> None:
    path = publish(file_of, mirror)
    with pytest.raises(BonexrayError, match=f"expected weights of {name} without top, received .*{reason}") as refusal:
        starting_backbone(name, Weights(source="random", files={name: str(path)}))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("deit_tiny", "vit.encoder.layer.11.layernorm_after.bias"),
        ("swin_tiny", "swin.encoder.layers.2.downsample.reduction.weight"),
    ],
)
def test_a_file_that_lacks_a_tensor_is_refused_with_its_name(name: str, missing: str, mirror: Path) -> None:
    save_file({key: tensor for key, tensor in tensors(name) if key != missing}, "cut.safetensors")
    with pytest.raises(BonexrayError, match=f"received no tensor {missing} in it; "):
        starting_backbone(name, Weights(source="random", files={name: "cut.safetensors"}))


def test_every_row_with_a_safetensors_file_is_built_like_one_that_is_held_against_pytorch() -> None:
    rows = {name: row for name, row in BACKBONES.items() if row.published and row.published.url.startswith("hf://")}
    held = {BACKBONES[name].family or name for name in ENCODERS}
    assert {row.family or name for name, row in rows.items()} == held
