"""Test the sections of params.yaml that follow from the choice of models, and the refusal of unknown models."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.utils.hydra import compose_and_dump
from ruamel.yaml import YAML

from bonexray.base.errors import BonexrayError
from bonexray.check import require_sound_settings
from bonexray.composition import PLUGINS, compose
from bonexray.derived_params import chosen_models, derive_params, describe_backbone
from bonexray.registry import (
    BACKBONES,
    BASELINES,
    FINE_TUNE,
    FROZEN,
    FULL,
    GROUPS,
    ORDINAL,
    REGISTRY,
    SCRATCH,
    SLOTS,
    Published,
    builder_of,
    model_row,
)
from bonexray.study import load_settings
from bonexray.train.settings import ModelRow

CONF = Path(__file__).parents[1] / "conf"
every_model = pytest.mark.parametrize("name", REGISTRY)


def choices(**changes: object) -> dict[str, object]:
    """Return the choices of the default study with some of them changed."""
    fine_tune = {"blocks": {}, "epochs": 10, "learning_rate": 1e-4}
    return {
        "model": "all",
        "mode": FROZEN,
        "modes": {},
        "fine_tune": fine_tune,
        "weights": {"files": {}},
        "external": {},
        **changes,
    }


@every_model
def test_a_study_of_one_model_has_its_backbones_and_stands_for_all_in_the_panel(name: str) -> None:
    params = derive_params(choices(model=name))
    assert list(params["models"]) == [name, *BASELINES]
    assert list(params["backbones"]) == list(model_row(name).backbones)
    assert params["panel"] == [name, *BASELINES, *[name] * (SLOTS - 1 - len(BASELINES))]


@pytest.mark.parametrize("group", GROUPS)
def test_a_study_of_a_group_has_its_models_and_their_backbones(group: str) -> None:
    params = derive_params(choices(model=group))
    assert list(params["models"]) == [*GROUPS[group], *BASELINES]
    assert set(params["backbones"]) == {backbone for name in GROUPS[group] for backbone in model_row(name).backbones}
    assert list(dict.fromkeys(params["panel"])) == list(params["models"])
    assert len(params["panel"]) == SLOTS


def test_every_model_is_in_one_group_or_needs_boxes() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(name for name, row in REGISTRY.items() if row.locator is None)


def test_a_study_has_no_more_models_than_there_are_places() -> None:
    most = list(REGISTRY)[: SLOTS - len(BASELINES)]
    assert list(derive_params(choices(model=most))["models"]) == [*most, *BASELINES]
    with pytest.raises(
        BonexrayError, match=f"model: expected at most {len(most)} models, .*, received {len(most) + 1}"
    ):
        derive_params(choices(model=[*REGISTRY][: len(most) + 1]))
    with pytest.raises(BonexrayError, match="make two studies"):
        derive_params(choices(model=["all", "@encoders"]))
    assert f"at most {len(most)} models" in (CONF.parent / "docs/models.md").read_text(encoding="utf-8")


@every_model
def test_a_model_is_trained_from_the_features_of_its_backbones_or_from_its_builder(name: str) -> None:
    params, row = derive_params(choices(model=name))["models"][name], model_row(name)
    features = [f"data/features/{backbone}" for backbone in row.backbones]
    assert params["inputs"] == (features or [f"src/bonexray/builders/{name}.py"])
    assert "mode" not in params
    assert ModelRow(**params).mode == (FROZEN if row.backbones else SCRATCH)


def test_a_model_may_have_a_mode_of_its_own() -> None:
    models = derive_params(choices(modes={"resnet50": FINE_TUNE}))["models"]
    assert models["resnet50"]["mode"] == FINE_TUNE
    assert [name for name, params in models.items() if "mode" in params] == ["resnet50", *BASELINES]


def test_fine_tuning_starts_at_the_block_in_the_settings_or_in_the_registry() -> None:
    fine_tune = {"blocks": {"vgg16": "block4_conv1"}, "epochs": 5}
    models = derive_params(choices(mode=FINE_TUNE, fine_tune=fine_tune))["models"]
    blocks = {"vgg16": "block4_conv1", "vgg19": BACKBONES["vgg19"].fine_tune_from}
    assert models["vgg16_vgg19"]["fine_tune"] == {"blocks": blocks, "epochs": 5}


@pytest.mark.parametrize("name", BACKBONES)
def test_dvc_watches_the_code_of_a_backbone_or_its_weights_file(name: str) -> None:
    watched = derive_params(choices(model=name))["backbones"][name]["watch"]
    assert (CONF.parent / watched).is_file()
    files = {"files": {name: "/a b/(1).h5"}}
    assert derive_params(choices(model=name, weights=files))["backbones"][name]["watch"] == "/a b/(1).h5"


def test_rows_of_backbones_differ_in_words() -> None:
    assert len({describe_backbone(name, row) for name, row in BACKBONES.items()}) == len(BACKBONES)


def test_a_list_may_contain_groups() -> None:
    assert chosen_models(["vgg16", "all"]) == GROUPS["all"], "the baselines come by themselves"
    assert chosen_models(["resnet50", "@encoders"]) == ["resnet50", *GROUPS["@encoders"]]


def test_a_model_that_needs_boxes_is_chosen_by_its_name_alone() -> None:
    assert chosen_models(["all", "located_cnn"]) == [*GROUPS["all"], "located_cnn"]


@pytest.mark.parametrize("output", ORDINAL)
def test_a_variant_is_the_same_network_with_another_output(output: str) -> None:
    names = ["resnet50", f"resnet50_{output}", f"small_cnn_{output}"]
    params = derive_params(choices(model=names))
    models, rows = params["models"], {name: model_row(name) for name in names}
    assert models[names[1]] == {**models["resnet50"], "output": output}
    assert models[names[2]] == {**derive_params(choices())["models"]["small_cnn"], "output": output}
    assert list(params["backbones"]) == ["resnet50"]
    assert rows[names[1]].title.startswith("ResNet50, ") and rows[names[1]].modes == rows["resnet50"].modes
    assert builder_of(names[2]) is builder_of("small_cnn")
    assert all(ModelRow(**row).output in (output, None) for row in models.values())


def test_dvc_watches_every_variant() -> None:
    names = ["vgg16_corn", "resnet50", "vgg16_cumulative"]
    assert derive_params(choices(model=names))["panel"][: len(names)] == names


def test_a_variant_has_the_mode_of_its_network_unless_it_has_one_of_its_own() -> None:
    names = ["vgg16", "vgg16_corn", "vgg16_cumulative"]
    models = derive_params(choices(model=names, modes={"vgg16": FULL, "vgg16_corn": FROZEN}))["models"]
    assert [ModelRow(**models[name]).mode for name in names] == [FULL, FROZEN, FULL]


@pytest.mark.parametrize("name", ["vgg16_ordinal", "corn", "_corn", "texture_corn", "vgg16_corn_corn"])
def test_only_networks_have_variants(name: str) -> None:
    with pytest.raises(BonexrayError, match="model: expected all, @encoders, or names among"):
        chosen_models([name])


def test_no_model_is_refused() -> None:
    with pytest.raises(BonexrayError, match="model: expected at least one name, received none; set model=all"):
        chosen_models([])


# Composition


def test_conf_composes_the_derived_sections(tmp_path: Path) -> None:
    compose(tmp_path / "params.yaml", CONF, ["model=[vgg16,vgg19]", "mode=full"])
    params = YAML(typ="safe").load(tmp_path / "params.yaml")
    derived = derive_params({key: params[key] for key in choices()})
    assert {part: params[part] for part in derived} == derived
    assert list(params["models"]) == ["vgg16", "vgg19", *BASELINES]


def test_conf_composes_the_comparison_of_outputs_that_the_docs_show(tmp_path: Path) -> None:
    text = (CONF.parent / "docs/models.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^dvc exp run -S '(model=\[\w+,\w+_cumulative,\w+_corn\])'$", text, re.MULTILINE)
    compose(tmp_path / "params.yaml", CONF, [shown])
    settings = load_settings(tmp_path / "params.yaml")
    require_sound_settings(settings)
    outputs = [row.output for row in settings.models.values()]
    assert outputs == [None, "cumulative", "corn", *[None] * len(BASELINES)]


@pytest.mark.parametrize(
    ("name", "advice"),
    [("vgg17", "did you mean 'vgg19'?"), ("@encoder", "did you mean '@encoders'?"), ("nothing", "correct the name")],
)
def test_an_unknown_model_is_refused_in_one_line_with_advice(name: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(BonexrayError) as refusal:
        compose(tmp_path / "params.yaml", CONF, [f"model={name}"])
    message = str(refusal.value)
    assert message.startswith("model: expected all, @encoders, or names among vgg16, vgg19, ")
    assert message.endswith(f", received '{name}'; {advice}")
    assert "\n" not in message


def test_dvc_prints_the_refusal_of_an_unknown_model_once(tmp_path: Path) -> None:
    options = (str(CONF), None, "config", str(CONF / PLUGINS), ["model=vgg17"])
    with pytest.raises(DvcException, match=r"^model: expected all, .*'vgg19'") as refusal:
        compose_and_dump(str(tmp_path / "params.yaml"), *options)
    assert refusal.value.__cause__ is None  # DVC prints each cause, and calls other errors unexpected


CHANGED_FACTS = {
    "builder": "ResNet101",
    "module": "resnet_v2",
    "convention": "torch",
    "heat_map": "conv5_block2_out",
    "published": Published("https://example.org/other.h5", None),
    "multiple_of": 32,
}


@pytest.mark.parametrize("fact", CHANGED_FACTS)
def test_every_fact_that_decides_features_is_in_the_row(fact: str) -> None:
    row = BACKBONES["resnet50"]
    assert describe_backbone("resnet50", replace(row, **{fact: CHANGED_FACTS[fact]})) != describe_backbone(
        "resnet50", row
    )


def test_own_weights_of_a_network_with_a_builder_of_its_own_name_the_builder() -> None:
    params = derive_params(choices(model="resnet18", weights={"files": {"resnet18": "own.h5"}}))
    row = params["backbones"]["resnet18"]
    assert row["watch"] == "own.h5"
    assert "built by " in row["row"]
