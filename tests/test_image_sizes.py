"""Test which image sizes and outputs are refused for a model."""

import pytest
from small_networks import CLASSES, SETTINGS, every_model, every_scratch_model

from bonexray.backbones.encoder import build_backbone
from bonexray.base.errors import BonexrayError
from bonexray.networks.trainable import build_trainable
from bonexray.registry import BACKBONES, SCRATCH, model_row, require_output, require_px

every_backbone_of_keras = pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.module])


@every_model
def test_only_images_below_the_smallest_size_are_refused_with_a_size_that_fits(name: str) -> None:
    row = model_row(name)
    require_px(name, row.smallest_px)
    less = row.smallest_px - row.multiple_of
    with pytest.raises(
        BonexrayError, match=f"at least {row.smallest_px}.* for {name}, received {less}; set .*px={row.smallest_px} "
    ):
        require_px(name, less)


@every_backbone_of_keras
def test_keras_refuses_images_one_pixel_smaller(name: str) -> None:
    px = BACKBONES[name].min_px
    with pytest.raises(ValueError, match=f"at least {px}x{px}"):
        build_backbone(name, px - 1)


@every_scratch_model
def test_a_network_from_scratch_cannot_be_built_one_pixel_smaller(name: str) -> None:
    px = model_row(name).min_px - 1
    with pytest.raises(ValueError, match="output size would be zero"):
        build_trainable(name, SCRATCH, px, CLASSES, SETTINGS)


@pytest.mark.parametrize(("px", "fitting"), [(33, 32), (40, 32), (41, 48), (225, 224)])
def test_a_side_that_is_no_multiple_of_the_patch_is_refused(px: int, fitting: int) -> None:
    with pytest.raises(
        BonexrayError, match=f"at least 32, a multiple of 16 for vit_tiny, received {px}; set .*={fitting} "
    ):
        require_px("vit_tiny", px)


def test_a_sigmoid_is_refused_unless_there_are_two_classes() -> None:
    require_output("sigmoid", 2)
    require_output("softmax", 3)
    with pytest.raises(BonexrayError, match=r"train\.output: expected softmax for 3 classes"):
        require_output("sigmoid", 3)
