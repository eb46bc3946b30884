"""The stage that explains a model: what it writes, the same bytes every time, for what each mode stores."""

import re
import runpy
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from cohorts import AUGMENT, CLASSES, cohort_of, lay_out_backbone, lay_out_images, numbers, with_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bonexray.backbones.cost import multiply_adds
from bonexray.backbones.weights import load_starting_weights
from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json, write_json
from bonexray.base.hashing import sha256_of
from bonexray.data.folds import FIRST
from bonexray.data.paths import IMAGES, MODEL_WEIGHTS, weights_path
from bonexray.data.predictions import write_predictions
from bonexray.explain.diagram import Block, Diagram, diagram_of
from bonexray.explain.explanation import choose
from bonexray.explain.settings import Explain
from bonexray.explain.store import CODE, INTERVALS
from bonexray.figures.explained.architecture import architecture
from bonexray.figures.explained.heatmaps import Explained, heat_maps, verdict
from bonexray.networks.trainable import HEAD, backbone_of, build_trainable
from bonexray.networks.trained import trained_network
from bonexray.registry import BASELINE, FINE_TUNE, FROZEN, FULL, SCRATCH
from bonexray.study import load_settings
from bonexray.train.card import cost, model_card

PX, BODY = 32, "vgg16"
MODES = {FROZEN: BODY, FINE_TUNE: BODY, FULL: BODY, SCRATCH: "compact_cnn"}
ROOT = Path(__file__).parents[1]
SETTINGS = load_settings(ROOT / "params.yaml")
STAGE = runpy.run_path(str(ROOT / "stages/explain.py"))
MAIN = STAGE["main"]


def store(name: str, mode: str) -> keras.Model:
    """Leave a model below the working directory as its training does; gives it from image to classes."""
    options, folder = with_settings(), Path(f"models/{mode}_{name}")
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(5)
    network = build_trainable(name, FINE_TUNE if mode == FROZEN else mode, PX, len(CLASSES), options)
    cohort = cohort_of(name, mode, options, AUGMENT)
    if mode == FROZEN:
        load_starting_weights(backbone_of(network, BODY), BODY)
    stored = network.get_layer(HEAD) if mode == FROZEN else network
    stored.save_weights(folder / MODEL_WEIGHTS)
    spent = cost(stored.count_params(), multiply_adds(stored), cohort, folder / MODEL_WEIGHTS)
    write_json(folder / "model.json", {**model_card(name, cohort), **spent})
    answers = numbers(network(np.load(IMAGES)[..., None], training=False))
    write_predictions(folder / "predictions.csv", cohort.manifest, {FIRST: answers}, cohort.classes)
    return network


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort and a model of every mode."""
    folder = tmp_path_factory.mktemp("study")
    with chdir(folder):
        lay_out_images(PX)
        lay_out_backbone(BODY)
        for mode, name in MODES.items():
            store(name, mode)
    return folder


@pytest.fixture(autouse=True)
def here(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in the cohort's folder."""
    monkeypatch.chdir(study)


def explained(*modes: str, seed: int = 7) -> Path:
    """Explain the models of some modes, with what the store has; return the folder of the stage."""
    for mode in modes:
        Path("models", MODES[mode]).unlink(missing_ok=True)
        Path("models", MODES[mode]).symlink_to(f"{mode}_{MODES[mode]}")
    names = {MODES[mode]: {} for mode in modes}
    options = SETTINGS.explain.model_copy(update={"seed": seed})
    MAIN(SETTINGS.model_copy(update={"models": names, "explain": options}))
    return Path("reports/explained")


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*.*")}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the networks that the stage explains itself, in a store that is empty at first."""
    shutil.rmtree(".bonexray", ignore_errors=True)
    names, explain_network = [], STAGE["explain_network"]

    def recorded(options: Explain, name: str, folder: Path) -> None:
        names.append(name)
        explain_network(options, name, folder)

    monkeypatch.setitem(MAIN.__globals__, "explain_network", recorded)
    return names


@pytest.mark.parametrize("mode", MODES)
def test_a_model_of_every_mode_is_explained(mode: str) -> None:
    name = MODES[mode]
    folder = explained(mode) / name
    scores = read_json(folder / "sanity_check.json")
    files = {f"{name}_gradcam.png", f"{name}_architecture.png", "heatmaps.csv", "sanity_check.json"}
    assert {path.name for path in folder.iterdir()} == files
    table = pd.read_csv(folder / "heatmaps.csv")
    assert (scores["images"], scores["right"]) == (len(table), (table["predicted"] == table["actual"]).sum())
    assert scores["right"] <= 3 and scores["wrong"] <= 3
    assert scores["randomised_likeness"] == pytest.approx(table["randomised_likeness"].mean(), abs=1e-6)
    assert table.notna().all().all() and table["probability"].between(0, 1).all()
    network = trained_network(Path("models", name))
    card = read_json(Path("models", name, "model.json"))
    assert (card["parameters"], card["multiply_adds"]) == (network.count_params(), multiply_adds(network))


def test_a_model_has_the_same_bytes_alone_and_after_another(computed: list[str]) -> None:
    alone = hashes(explained(SCRATCH) / MODES[SCRATCH])
    shutil.rmtree(".bonexray")
    assert hashes(explained(FROZEN, SCRATCH) / MODES[SCRATCH]) == alone
    assert computed == [MODES[SCRATCH], MODES[FROZEN], MODES[SCRATCH]]


def test_only_a_new_model_is_explained(computed: list[str]) -> None:
    before = hashes(explained(SCRATCH))
    both = hashes(explained(FROZEN, SCRATCH))
    assert computed == [MODES[SCRATCH], MODES[FROZEN]]
    assert hashes(explained(SCRATCH)) == before and before.items() <= both.items()
    assert len(computed) == 2


def test_a_baseline_is_explained_by_its_coefficients(computed: list[str], warnings_of: Callable[[], list[str]]) -> None:
    folder = Path("models/texture")
    folder.mkdir(exist_ok=True)
    write_json(folder / "model.json", {"mode": BASELINE})
    pd.DataFrame({"number": ["entropy"], **{name: [0.5] for name in CLASSES}}).to_csv(
        folder / "coefficients.csv", index=False
    )
    (folder / "predictions.csv").write_text("id\n")
    for _ in range(2):
        MAIN(SETTINGS.model_copy(update={"models": {"texture": {}}}))
        assert list(hashes(Path("reports/explained"))) == ["texture/texture_coefficients.png"]
    assert warnings_of() == [] and computed == []


def test_other_settings_and_a_damaged_store_explain_anew(computed: list[str]) -> None:
    before = hashes(explained(SCRATCH))
    assert hashes(explained(SCRATCH, seed=8)) != before
    for path in Path(".bonexray").rglob("*.zip"):
        path.write_bytes(b"damaged")
    assert hashes(explained(SCRATCH)) == before
    assert len(computed) == 3


def test_the_store_knows_the_code_that_the_stage_depends_on() -> None:
    deps = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["explain"]["deps"]
    assert {f"src/bonexray/{path}" for path in (*CODE, *INTERVALS)} == {
        path for path in deps if path.startswith("src/")
    }


def test_probabilities_that_the_weights_do_not_give_are_refused() -> None:
    path = Path("models/scratch_compact_cnn/predictions.csv")
    before = path.read_text()
    rows = pd.read_csv(path)
    rows[[f"prob_{name}" for name in CLASSES]] = [0.1, 0.1, 0.8]
    rows.to_csv(path, index=False)
    with pytest.raises(BonexrayError, match=r"compact_cnn.*predictions\.csv.*dvc repro"):
        explained(SCRATCH)
    path.write_text(before)


def test_backbone_weights_that_a_head_was_not_trained_on_are_refused() -> None:
    path = weights_path(BODY)
    before = path.read_bytes()
    path.write_bytes(before + b"x")
    with pytest.raises(BonexrayError, match=re.escape(str(path))):
        trained_network(Path(f"models/frozen_{BODY}"))
    path.write_bytes(before)


# The images that are chosen


def predictions(seed: int, count: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), count)
    rows = pd.DataFrame(
        {
            "id": [f"{i:04d}" for i in rng.permutation(count)],
            "split": rng.choice(["train", "test"], count),
            "label": rng.choice(CLASSES, count),
            "predicted": np.array(CLASSES)[probabilities.argmax(axis=1)],
        }
    )
    return rows, probabilities


@settings(max_examples=40, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4))
def test_the_surest_test_images_of_each_class_take_turns(seed: int, count: int, right: int, wrong: int) -> None:
    rows, probabilities = predictions(seed, count)
    shown = choose(rows, probabilities, CLASSES, right, wrong)
    test = rows.assign(probability=probabilities.max(axis=1))[rows["split"] == "test"]
    for is_right, most in ((True, right), (False, wrong)):
        pool = test[(test["label"] == test["predicted"]) == is_right]
        picked = shown[(shown["label"] == shown["predicted"]) == is_right]
        assert len(picked) == min(most, len(pool))
        for label, part in pool.groupby("label"):
            sure = sorted(part["probability"], reverse=True)
            of_label = picked.loc[picked["label"] == label, "probability"]
            assert list(of_label) == sure[: len(of_label)]
            others = picked["label"].value_counts().max() if len(picked) else 0
            assert len(of_label) >= min(len(part), others - 1)
    again = choose(rows.iloc[::-1], probabilities[::-1], CLASSES, right, wrong)
    assert list(again["id"]) == list(shown["id"])


# The figures


def test_a_diagram_has_all_parameters_and_costs_of_its_network() -> None:
    for mode, name in MODES.items():
        network = trained_network(Path(f"models/{mode}_{name}"))
        diagram = diagram_of(network, name)
        blocks = [*diagram.trunk, *(block for branch in diagram.branches.values() for block in branch)]
        assert sum(block.parameters for block in blocks) == network.count_params()
        assert sum(block.multiply_adds for block in blocks) == multiply_adds(network)
        assert (diagram.image.shape, blocks[len(diagram.trunk) - 1].shape) == ((PX, PX, 1), (len(CLASSES),))
        assert list(diagram.branches) == ([BODY] if mode != SCRATCH else [])
        assert 5 <= len(blocks) <= 14


def test_stages_shrink_and_end_in_the_maps_that_are_pooled() -> None:
    name = "mobilenet_v2"
    network = build_trainable(name, FINE_TUNE, PX, len(CLASSES), with_settings())
    stages = [block for block in diagram_of(network, name).branches[name] if block.kind == "maps"]
    assert [block.shape[0] for block in stages] == [16, 8, 4, 2, 1]
    assert stages[-1].shape == (1, 1, 1280)


def test_what_squeezes_maps_in_passing_is_a_part_of_their_stage() -> None:
    blocks = diagram_of(build_trainable("efficientnet_b0", FINE_TUNE, PX, 3, with_settings()), "efficientnet_b0")
    kinds = [block.kind for block in blocks.branches["efficientnet_b0"]]
    assert kinds == ["maps"] * 6 + ["features"]


def test_long_and_foreign_names_and_empty_maps_are_drawn(tmp_path: Path) -> None:
    image, ramp = np.full((8, 8), 0.5), np.linspace(0, 1, 64).reshape(8, 8)
    name = "Ostéoporose sévère avec fracture vertébrale ancienne"
    rows = [
        Explained(image, name, name, 0.9, 0.9, ramp, ramp),
        Explained(image, name, "normal", 0.6, 0.1, np.zeros((8, 8)), np.ones((8, 8))),
    ]
    heat_maps(rows, "A model", tmp_path / "heat.png")
    heat_maps(rows[:1], "A model", tmp_path / "one.png")
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > 5000
    assert verdict(ramp) is None
    assert "nothing speaks" in str(verdict(np.zeros((8, 8)))) and "alike" in str(verdict(np.ones((8, 8))))


def test_two_backbones_are_drawn_side_by_side(tmp_path: Path) -> None:
    block = Block("stage 1", "maps", "Conv2D", (8, 8, 3), 1000, 10**6)
    end = Block("classes", "classes", "softmax", (3,), 12, 12)
    image = Block("image", "image", "", (8, 8, 1), 0, 0)
    architecture(Diagram(image, {"a": [block], "b": [block, block]}, [end]), "Two", tmp_path / "two.png")
    architecture(Diagram(image, {"a": [block]}, [end]), "One", tmp_path / "one.png")
    wide, narrow = (keras.utils.load_img(tmp_path / f"{name}.png").size[0] for name in ("two", "one"))
    assert wide > 1.8 * narrow
