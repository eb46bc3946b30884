"""The settings that a study keeps, and what params.yaml has that conf/ does not."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.composition import compose
from bonexray.kept_settings import KEPT, differing_settings, keep, kept

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout's settings."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", "conf", ignore=shutil.ignore_patterns("local", "tuned"))
    compose(Path("params.yaml"), Path("conf"))


def params(path: str = "params.yaml") -> dict:
    return YAML(typ="safe").load(Path(path))


@pytest.mark.parametrize(
    ("overrides", "lines"),
    [
        (["train.epochs=4"], ["train.epochs=4"]),
        (["dataset=folder", "dataset.root=data/knees"], ["dataset=folder", "dataset.root=data/knees"]),
        (["preset=smoke", "train.epochs=2"], ["preset=smoke", "train.epochs=2"]),
        (["+denoise.options.profile=np"], ["denoise.options.profile=np"]),
        (
            ["split.max_images=null", "train.deterministic=false"],
            ["split.max_images=null", "train.deterministic=false"],
        ),
        (["model=[xception,vgg16]"], ["model=['xception', 'vgg16']"]),
        (["dataset=folder", "+dataset.labels={KL4: KL3}"], ["dataset=folder", "dataset.labels.KL4=KL3"]),
    ],
)
def test_what_is_kept_stays_in_later_experiments(overrides: list[str], lines: list[str]) -> None:
    assert keep(overrides) == kept() == lines
    assert differing_settings() == {}
    now = params()
    compose(Path("later.yaml"), Path("conf"), ["augment.shift=0.2"])  # as `dvc exp run -S augment.shift=0.2`
    later = params("later.yaml")
    assert later["augment"].pop("shift") == 0.2 != now["augment"].pop("shift")
    assert later == now


def test_an_experiment_may_change_what_is_kept() -> None:
    keep(["train.epochs=4", "dataset=folder"])
    compose(Path("later.yaml"), Path("conf"), ["train.epochs=9", "dataset=knee"])
    assert params("later.yaml")["train"]["epochs"] == 9 and params("later.yaml")["dataset"]["name"] == "knee"


def test_settings_join_those_kept_before_and_can_be_dropped() -> None:
    keep(["train.epochs=4"])
    assert keep(["train.seed=3", "train.epochs=5"]) == ["train.epochs=5", "train.seed=3"]
    assert keep([], ["train.epochs"]) == ["train.seed=3"]
    assert keep([], ["train.seed"]) == [] and not KEPT.exists()
    assert params() == {**params(), "train": {**params()["train"], "epochs": 15}}


@pytest.mark.parametrize(
    ("overrides", "drop", "message"),
    [
        (["train.epoks=3"], [], "train.epoks: expected 'epochs', perhaps"),
        (["train.epochs=many"], [], "train.epochs: .* received 'many'"),
        (["model=vgg61"], [], "did you mean 'vgg1"),
        (["dataset=nowhere"], [], "conf/: expected settings that Hydra composes"),
        (["epochs"], [], "expected NAME=VALUE, received 'epochs'"),
        (["~train.epochs"], [], "expected NAME=VALUE"),
        (["train.epochs=2,3"], [], "expected NAME=VALUE"),
        ([], ["train.epochs"], "--drop: expected one of train.seed, received train.epochs"),
        (["prepare.img_px=9"], [], "at least"),
    ],
)
def test_a_refused_setting_changes_nothing(overrides: list[str], drop: list[str], message: str) -> None:
    keep(["train.seed=3"])
    before = Path("params.yaml").read_text(), KEPT.read_text()
    with pytest.raises(BonexrayError, match=message):
        keep(overrides, drop)
    assert (Path("params.yaml").read_text(), KEPT.read_text()) == before


def test_a_check_says_what_is_kept_and_what_only_params_has() -> None:
    assert (
        CliRunner()
        .invoke(app, ["use", "train.seed=3"])
        .output.startswith("use: conf/local/study.yaml keeps train.seed=3")
    )
    assert "kept in conf/local/study.yaml: train.seed=3" in CliRunner().invoke(app, ["check"]).output
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  epochs: 15\n", "  epochs: 6\n"))
    assert differing_settings() == {"train.epochs": (6, 15)}
    shown = CliRunner().invoke(app, ["check"]).output
    assert "params.yaml differs from conf/: train.epochs 6 (conf/: 15)" in shown and "no problems" in shown


@pytest.mark.parametrize(("overrides", "warned"), [(["dataset=folder"], True), (["train.epochs=4"], False)])
def test_a_composition_that_leaves_the_dataset_warns(
    overrides: list[str], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    compose(Path("later.yaml"), Path("conf"), overrides)
    told = "the dataset is folder now, phantom before; `bonexray use dataset=...`"
    assert (told in " ".join(capsys.readouterr().err.split())) == warned


def test_a_root_that_dvc_would_not_watch_is_refused() -> None:
    keep(["dataset=folder"])
    for image in ("normal/1.png", "osteoporosis/1.png"):
        (Path("data/knees") / image).parent.mkdir(parents=True)
        (Path("data/knees") / image).write_bytes(b"a check reads no pixels")
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  root: data/raw\n", "  root: data/knees\n"))
    shown = CliRunner().invoke(app, ["check"])
    assert shown.exit_code == 1
    assert (
        "dataset.inputs: expected the files that follow from dataset.root and dataset.csv: ['data/knees']"
        in shown.output
    )
