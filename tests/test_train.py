"""A model trained end to end on a tiny cohort, in every mode."""

from contextlib import chdir
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from cohorts import (
    SETTINGS,
    cohort_of,
    lay_out_backbone,
    lay_out_features,
    lay_out_images,
    numbers,
    trained,
    with_settings,
)

from bonexray.backbones import encoder
from bonexray.backbones.weights import load_starting_weights
from bonexray.networks import trainable
from bonexray.networks.trainable import HEAD, backbone_of, build_trainable
from bonexray.registry import BACKBONES, FINE_TUNE, FROZEN, FULL, REGISTRY, SCRATCH, builder_of
from bonexray.runtime import prepare_runtime
from bonexray.train.cohort import balanced_weights
from bonexray.train.fit import Fitting, probabilities
from bonexray.train.keras_batches import KerasBatches
from bonexray.train.objective import loss_of
from bonexray.train.training import train_model

PX = 32
BODY = min(BACKBONES, key=lambda name: BACKBONES[name].parameters)
OTHER = "densenet121"  # a backbone of which only features are laid out
SCRATCH_MODEL = min(
    (name for name, row in REGISTRY.items() if not row.backbones), key=lambda name: REGISTRY[name].min_px
)
NETWORKS = {FROZEN: BODY, FINE_TUNE: BODY, FULL: BODY, SCRATCH: SCRATCH_MODEL}
PHASES = {"fine_tune": ["head"] * 3 + ["network"] * 2, "frozen": ["head"] * 3}
every_mode = pytest.mark.parametrize("mode", NETWORKS)


class Phases:
    """A stand-in for `Fitting` that keeps each phase's network, its weights before and after, and the class weights."""

    def __init__(self) -> None:
        self.before: list[dict[str, np.ndarray]] = []
        self.after: list[dict[str, np.ndarray]] = []
        self.trainable: list[set[str]] = []
        self.class_weights: list[dict[int, float] | None] = []

    def __call__(self, network: keras.Model, *others: object) -> Fitting:
        """Return a fitting that is watched."""
        fitting = Fitting(network, *others)
        run = fitting.run

        def watched(*arguments: object) -> pd.DataFrame:
            self.before.append(weights_of(network))
            self.trainable.append({path_of(weight) for weight in network.trainable_weights})
            self.class_weights.append(others[2])
            history = run(*arguments)
            self.after.append(weights_of(network))
            return history

        fitting.run = watched
        return fitting

    def changed(self, phase: int = -1) -> set[str]:
        """The weights that a phase changed."""
        after = self.after[phase]
        return {path for path, before in self.before[phase].items() if not np.array_equal(before, after[path])}


def path_of(weight: keras.Variable) -> str:
    """A weight's layer and name, which are unique in these networks."""
    return "/".join(weight.path.split("/")[-2:])


def weights_of(network: keras.Model) -> dict[str, np.ndarray]:
    weights = {path_of(weight): numbers(weight) for weight in network.weights}
    assert len(weights) == len(network.weights)
    return weights


class Training:
    """A model trained in a folder, and what its phases were."""

    def __init__(self, name: str, mode: str, folder: Path, *options: object, **tuning: object) -> None:
        self.mode, self.folder, self.phases = mode, folder, Phases()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bonexray.train.training.Fitting", self.phases)
            patch.setattr("bonexray.train.fit.Fitting", self.phases)
            patch.setattr("bonexray.train.training.candidates_of", lambda settings: [settings])
            self.network, self.history, self.cohort = trained(name, mode, folder, *options, **tuning)

    def loss_of(self, network: keras.Model) -> float:
        """A network's validation loss."""
        network.compile("sgd", loss_of(self.cohort.train))
        batches = self.cohort.features("val") if self.mode == "frozen" else self.cohort.images("val")
        return network.evaluate(KerasBatches(batches), verbose=0)

    @property
    def answers(self) -> np.ndarray:
        """Class probabilities of every image."""
        batches = self.cohort.features(None) if self.mode == "frozen" else self.cohort.images(None)
        return probabilities(self.network, batches)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort with a backbone's weights and its true features."""
    prepare_runtime(7, deterministic=True)
    folder = tmp_path_factory.mktemp("study")
    with chdir(folder):
        lay_out_images(PX)
        lay_out_backbone(BODY)
    return folder


@pytest.fixture(scope="module")
def trainings(study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Training]:
    """One training in every mode."""
    folder = tmp_path_factory.mktemp("models")
    with chdir(study):
        return {mode: Training(name, mode, folder / mode) for mode, name in NETWORKS.items()}


@pytest.fixture(autouse=True)
def here(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in the cohort's folder."""
    monkeypatch.chdir(study)


# Every mode


@every_mode
def test_what_is_returned_and_left_in_the_one_file_is_the_best_epoch(mode: str, trainings: dict[str, Training]) -> None:
    training = trainings[mode]
    reloaded = build_trainable(NETWORKS[mode], mode, PX, 3, SETTINGS)
    reloaded.load_weights(training.folder / "model.weights.h5")
    for kept in (training.network, reloaded):
        best = training.history.loc[training.history["val_log_loss"].idxmin()]
        assert training.loss_of(kept) == pytest.approx(best["val_loss"], rel=1e-3)
    assert [file.name for file in training.folder.iterdir()] == ["model.weights.h5"]


@every_mode
def test_a_trained_model_answers_with_probabilities_of_every_image(mode: str, trainings: dict[str, Training]) -> None:
    answers = trainings[mode].answers
    assert answers.shape == (30, 3)
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)


@every_mode
def test_the_history_names_the_phases_and_counts_the_epochs_through(mode: str, trainings: dict[str, Training]) -> None:
    history = trainings[mode].history
    assert list(history["phase"]) == PHASES.get(mode, ["network"] * 3)
    assert list(history["epoch"]) == list(range(1, len(history) + 1))


@every_mode
def test_in_every_phase_every_kernel_that_is_to_learn_does(mode: str, trainings: dict[str, Training]) -> None:
    phases = trainings[mode].phases
    for phase, paths in enumerate(phases.trainable):
        kernels = {path for path in paths if path.endswith("kernel")}
        assert kernels
        assert kernels <= phases.changed(phase)


@every_mode
def test_every_phase_weights_the_classes(mode: str, trainings: dict[str, Training]) -> None:
    cohort, phases = trainings[mode].cohort, trainings[mode].phases
    weights = balanced_weights(cohort.labels[cohort.rows("train")])
    assert len(set(weights.values())) > 1
    assert phases.class_weights == [weights] * (2 if mode == "fine_tune" else 1)


@pytest.mark.parametrize(("name", "mode"), [(OTHER, FROZEN), (SCRATCH_MODEL, SCRATCH)])
def test_classes_are_not_weighted_where_that_is_not_asked_for(name: str, mode: str, tmp_path: Path) -> None:
    lay_out_features(OTHER)
    training = Training(name, mode, tmp_path / "m", with_settings(class_weights="none", epochs=1))
    assert training.phases.class_weights == [None]


# Fine-tuning and full training


def stored_weights() -> dict[str, np.ndarray]:
    body = encoder.build_backbone(BODY, PX)
    load_starting_weights(body, BODY)
    return weights_of(body)


@pytest.mark.parametrize("mode", ["fine_tune", "full"])
def test_backbones_start_from_the_weights_of_their_file(mode: str, trainings: dict[str, Training]) -> None:
    start = trainings[mode].phases.before[-1]
    for path, stored in stored_weights().items():
        assert np.array_equal(start[path], stored), path


def test_fine_tuning_begins_as_the_training_of_a_frozen_backbone(trainings: dict[str, Training]) -> None:
    frozen, tuned = trainings["frozen"], trainings["fine_tune"]
    pd.testing.assert_frame_equal(tuned.history[:3], frozen.history, check_exact=True)
    assert set(tuned.history["learning_rate"][3:].round(6)) == {1e-3}
    start = tuned.phases.before[1]
    for path, kept in weights_of(frozen.network).items():
        assert np.array_equal(start[path], kept), f"{HEAD}: {path} is not the best epoch's"


def first_and_last(layers: list[keras.Layer], kind: type[keras.Layer]) -> tuple[str, str]:
    """Return the names of the first and the last layer of a kind."""
    names = [layer.name for layer in layers if isinstance(layer, kind)]
    return names[0], names[-1]


def test_fine_tuning_changes_the_upper_blocks_and_the_head_but_no_batch_normalisation(
    trainings: dict[str, Training],
) -> None:
    layers = backbone_of(trainings["fine_tune"].network, BODY).layers
    first = [layer.name for layer in layers].index(BACKBONES[BODY].fine_tune_from)
    upper = {layer.name for layer in layers[first:] if not isinstance(layer, keras.layers.BatchNormalization)}
    tuned = {path.split("/")[0] for path in trainings["fine_tune"].phases.changed()}
    assert tuned & {layer.name for layer in layers} <= upper
    assert {first_and_last(layers[first:], keras.layers.Conv2D)[1], layers[first].name, "dense", "classes"} <= tuned


def test_a_fully_trained_backbone_learns_from_its_first_layer_to_its_batch_normalisation(
    trainings: dict[str, Training],
) -> None:
    changed, layers = trainings["full"].phases.changed(), backbone_of(trainings["full"].network, BODY).layers
    first, last = first_and_last(layers, keras.layers.Conv2D)
    norm, _ = first_and_last(layers, keras.layers.BatchNormalization)
    expected = {f"{first}/kernel", f"{norm}/gamma", f"{norm}/moving_mean", f"{last}/kernel", "classes/kernel"}
    assert expected <= changed


@pytest.mark.parametrize("learning_rate", [1e-4, 1.0])
def test_fine_tuning_never_keeps_worse_than_the_frozen_head(learning_rate: float, tmp_path: Path) -> None:
    training = Training(BODY, "fine_tune", tmp_path / "m", learning_rate=learning_rate)
    by_phase, kept = training.history.groupby("phase")["val_loss"].min(), training.loss_of(training.network)
    assert kept <= by_phase["head"] * (1 + 1e-4)
    assert kept == pytest.approx(by_phase.min(), rel=1e-3)
    assert learning_rate < 1 or by_phase["network"] > by_phase["head"], "this one was to get worse"


# Frozen backbones


def forbid_backbones(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let no backbone be built, and list the attempts."""
    attempts: list[str] = []

    def refused(name: str, *_arguments: object, **_options: object) -> None:
        attempts.append(name)
        raise AssertionError(f"{name} is being built")

    monkeypatch.setattr(trainable, "build_encoder", refused)
    monkeypatch.setattr(encoder, "build_backbone", refused)
    for name, row in BACKBONES.items():
        module, function = (keras.applications, row.builder) if row.builder else (builder_of(name), "build")
        monkeypatch.setattr(module, function, lambda *_, name=name, **__: refused(name))
    return attempts


@pytest.mark.parametrize("name", [name for name, row in REGISTRY.items() if len(row.backbones) > 1])
def test_a_fusion_whose_features_exist_makes_no_forward_pass_of_a_backbone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backbone in REGISTRY[name].backbones:
        lay_out_features(backbone)
    attempts = forbid_backbones(monkeypatch)
    training = Training(name, "frozen", tmp_path / "m", with_settings(epochs=1))
    assert training.answers.shape == (30, 3)
    assert attempts == []
    assert not any(isinstance(layer, keras.layers.Conv2D | keras.Model) for layer in training.network.layers)
    with pytest.raises(AssertionError, match="is being built"):
        train_model(name, cohort_of(name, "full"), tmp_path, lambda *_: None)
    assert len(attempts) == 1, "one would have been seen"


@pytest.mark.slow
def test_a_head_learns_from_the_copies_of_its_features(tmp_path: Path) -> None:
    losses = {}
    for copies in (0, 2):
        lay_out_features(OTHER, copies)
        losses[copies] = trained(OTHER, FROZEN, tmp_path / str(copies))[1]["loss"].tolist()
    assert losses[0] != losses[2]


# Output


@pytest.mark.parametrize(("output", "loss"), [("sigmoid", "cross_entropy"), ("sigmoid", "focal"), ("softmax", "focal")])
@pytest.mark.parametrize(("name", "mode"), [(OTHER, FROZEN), (SCRATCH_MODEL, SCRATCH)])
def test_two_classes_are_learnt_with_every_output_and_loss(
    name: str, mode: str, output: str, loss: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out_images(16, classes=["fracture", "normal"])
    lay_out_features(OTHER)
    training = Training(name, mode, tmp_path / "m", with_settings(output=output, loss=loss, epochs=8))
    assert training.answers.shape == (30, 2)
    assert training.answers.sum(axis=1) == pytest.approx(1)
    assert training.history["loss"].iloc[-1] < training.history["loss"].iloc[0]
    rows, labels = training.cohort.rows("train"), training.cohort.labels
    assert mode == "scratch" or (training.answers.argmax(axis=1) == labels)[rows].mean() > 0.7
