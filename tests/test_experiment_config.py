"""The config of a study from Python: short names, full names, and what is refused."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bonexray import XRayClassifier
from bonexray.base.errors import BonexrayError
from bonexray.experiment.keys import KNOWN, QUICK, SHORT, model_names
from bonexray.registry import BASELINE, BASELINES, GROUPS

ROOT = Path(__file__).parents[1]
OURS = {  # config to setting and value
    "img_size": (96, "prepare.img_px", 96),
    "batch_size": (4, "train.batch_images", 4),
    "epochs": (3, "train.epochs", 3),
    "learning_rate": (1e-4, "train.learning_rate", 1e-4),
    "dropout_rate": (0.2, "train.dropout", 0.2),
    "use_subset": (0.1, "split.subset", 0.1),
    "patience": (5, "train.patience", 5),
    "lr_factor": (0.1, "train.lr_factor", 0.1),
    "min_lr": (1e-6, "train.min_lr", 1e-6),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study"


def setting(name: str, **config: object) -> object:
    """A setting of the study that a config gives."""
    found: object = XRayClassifier(config).settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("key", OURS)
def test_a_short_key_is_its_setting(key):
    value, name, expected = OURS[key]
    assert setting(name, **{key: value}) == expected
    assert set(OURS) == set(SHORT) - {"models"}


@pytest.mark.parametrize(("value", "share"), [(None, 1.0), (False, 1.0), (True, QUICK), (0.5, 0.5), (1, 1)])
def test_a_subset_may_be_asked_for_by_true_or_by_its_share(value, share):
    assert setting("split.subset", use_subset=value) == share


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("vgg16", ["vgg16"]),
        (["VGG16", "InceptionV3", "vgg16"], ["vgg16", "inception_v3"]),
        (["VGG16", "vgg16_cumulative"], ["vgg16", "vgg16_cumulative"]),
        ("ResNet50 + DenseNet121", ["resnet50_densenet121"]),
    ],
)
def test_models_go_by_their_names_and_titles(value, names):
    assert list(setting("models", models=value)) == [*names, *BASELINES]
    assert list(setting("models", models="all")) == list(setting("models")) == [*GROUPS["all"], *BASELINES]
    assert model_names(["@encoders", "ResNet50"]) == ["@encoders", "resnet50"]


@pytest.mark.parametrize(
    ("config", "name", "expected"),
    [
        ({"mode": "full"}, "mode", "full"),
        ({"mode": "full", "models": "vgg16"}, "models", {"vgg16": "full"}),
        ({"train.loss": "focal"}, "train.loss", "focal"),
        ({"train": {"loss": "focal", "head": "bare"}}, "train.head", "bare"),
        ({"features.copies": 8}, "features.copies", 8),
        ({"model": "vgg16"}, "model", ["vgg16"]),
        ({"split.ratios": {"train": 0.8, "val": 0.1, "test": 0.1}}, "split.ratios.train", 0.8),
        ({"img_size": (96, 96)}, "prepare.img_px", 96),
        ({"preset": "smoke"}, "train.epochs", 1),
        ({"preset": "smoke", "epochs": 4}, "train.epochs", 4),
        ({"dataset": "knee"}, "dataset.name", "knee"),
        ({"dataset.root": "/a b/(1)"}, "dataset.inputs", ["/a b/(1)"]),
        ({"denoise.options": {"profile": "lc"}}, "denoise.options", {"profile": "lc"}),
        ({"denoise.options": {}}, "denoise.options", {}),
        ({"modes": {"resnet50": "fine_tune"}}, "modes", {"resnet50": "fine_tune"}),
        ({"dataset.classes": ["a b", 'c"d\\', "1"]}, "dataset.classes", ["a b", 'c"d\\', "1"]),
        ({"dataset.group_pattern": r'(p\d+)"\\_[\]]\\'}, "dataset.group_pattern", r'(p\d+)"\\_[\]]\\'),
        ({"dataset.classes": None, "dataset.ordered": False}, "dataset.classes", None),
        ({"track.register": True}, "track.registered", True),
        ({"weights.mirror": "https://example.org/w"}, "weights.mirror", "https://example.org/w"),
    ],
)
def test_any_other_setting_goes_by_its_name(config, name, expected):
    config = {"dataset": "folder", **config} if "dataset.root" in config else config
    value = setting(name, **config)
    if name == "models":
        value = {model: row.mode for model, row in value.items() if row.mode != BASELINE}
    assert value == expected


def test_every_setting_of_conf_has_its_name():
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    for section in ("dataset", "split", "train", "track"):
        assert {f"{section}.{key}" for key in params[section]} - {"split.ratios"} <= set(KNOWN)
    assert {"model", "mode", "modes"} <= set(KNOWN) and not {"models", "backbones", "panel"} & set(KNOWN)


def test_a_relative_path_is_meant_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {"dataset": "folder", "dataset.root": "xrays", "weights.files": {"vgg16": Path("vgg16.h5")}}
    settings = XRayClassifier(config, folder="elsewhere").settings
    assert settings.dataset.root == str(tmp_path / "xrays")
    assert settings.weights.files["vgg16"].path == str(tmp_path / "vgg16.h5")
    config |= {"external": {"b": {"root": "b", "labels": {"kl0": "normal"}}}}
    cohort = XRayClassifier(config, folder="elsewhere").settings.external["b"]
    assert (cohort.root, cohort.labels) == (str(tmp_path / "b"), {"kl0": "normal"})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"img_sise": 3}, ["img_sise", "'img_size'", "unknown key"]),
        ({"train.epoch": 3}, ["train.epoch", "'train.epochs'"]),
        ({"panel": {}}, ["panel", "unknown key"]),
        ({"train.mode": "full"}, ["train.mode", "'mode', its new name"]),
        ({"train": {"mode": "full"}}, ["train.mode", "'mode', its new name"]),
        ({"augment.copies": 8}, ["augment.copies", "'features.copies', its new name"]),
        ({"models": "vgg16", "model": "vgg19"}, ["model twice"]),
        ({"train": 3}, ["config: train", "a mapping"]),
        ({"img_size": 0}, ["img_size", "prepare.img_px", "greater than or equal to 8", "received 0"]),
        ({"img_size": (96, 128)}, ["img_size", "[96, 128]"]),
        ({"epochs": True}, ["epochs", "True"]),
        ({"use_subset": 2}, ["use_subset", "less than or equal to 1"]),
        ({"learning_rate": object()}, ["learning_rate", "a number", "object"]),
        ({"dataset.root": 3}, ["dataset.root", "received 3"]),
        ({"epochs": 3, "train.epochs": 4}, ["train.epochs", "twice"]),
        ({"models": ["resnet5"]}, ["models", "resnet5", "'resnet50', perhaps"]),
        ({"models": []}, ["models", "[]"]),
        ({"preset": "smok"}, ["preset", "'smoke', perhaps"]),
        ({"dataset": "hips"}, ["dataset", "one of bodypart", "hips"]),
        ({"dataset.root": "${nothing}"}, ["config", "nothing"]),
        ({"img_size": 32, "models": "vgg16, xception"}, ["models", "vgg16, xception"]),
        ({"img_size": 32, "models": "xception"}, ["xception", "71", "32"]),
        ({"modes": {"vgg99": "full"}}, ["modes", "vgg99"]),
        ({"denoise.method": "bm4d"}, ["denoise.method", "bm4d"]),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_before_any_work(config, words, folder):
    with pytest.raises(BonexrayError) as refused:
        XRayClassifier(config, folder)
    assert all(word in str(refused.value) for word in words), refused.value
    assert "\n" not in str(refused.value)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"dataset": "folder"}, ["dataset.root", "no such folder", "study/data/raw"]),
        ({"dataset": "csv", "dataset.root": "."}, ["dataset.csv", "no such file"]),
        ({"weights.files": {"vgg16": "vgg16.h5"}}, ["weights.files.vgg16", "no such file"]),
    ],
)
def test_a_dataset_that_is_not_there_is_refused_before_any_work(config, words, folder):
    with pytest.raises(BonexrayError) as refused:
        XRayClassifier({"models": "vgg16", **config}, folder).run_experiment()
    assert all(word in str(refused.value) for word in words), refused.value
    assert not folder.exists()
