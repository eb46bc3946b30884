"""Test which image sizes and outputs are refused for a model."""

from pathlib import Path

import pytest
from small_networks import CLASSES, SETTINGS, every_model, every_scratch_model

from bonexray.backbones.encoder import build_backbone
from bonexray.base.errors import BonexrayError
from bonexray.check import settings_findings
from bonexray.composition import compose
from bonexray.networks.trainable import build_trainable
from bonexray.registry import BACKBONES, SCRATCH, model_row, require_output, require_px
from bonexray.study import load_settings

CONF = Path(__file__).parents[1] / "conf"
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


def test_the_side_that_is_named_suits_every_model_of_the_study(tmp_path: Path) -> None:
    compose(tmp_path / "params.yaml", CONF, ["model=[resnet50,@encoders]", "prepare.img_px=80"])
    found = [str(finding) for finding in settings_findings(load_settings(tmp_path / "params.yaml"))]
    refused = ["swin_tiny", "dinov2_small", "dinov2_base", "medsiglip", "rad_dino"]
    assert len(found) == len(refused)
    for name, line in zip(refused, found, strict=True):
        step = model_row(name).multiple_of
        assert f"a multiple of {step} for {name}, received 80; set prepare.img_px=224 or leave {name} out" in line
    compose(tmp_path / "params.yaml", CONF, ["model=@encoders", "prepare.img_px=300"])
    lines = map(str, settings_findings(load_settings(tmp_path / "params.yaml")))
    assert all("set prepare.img_px=224 or" in line for line in lines)


def test_a_sigmoid_is_refused_unless_there_are_two_classes() -> None:
    require_output("sigmoid", 2)
    require_output("softmax", 3)
    with pytest.raises(BonexrayError, match=r"train\.output: expected softmax for 3 classes"):
        require_output("sigmoid", 3)
