"""What training minimises, against the formulas, and the learning rate, step by step."""

from pathlib import Path

import keras
import numpy as np
import pytest
from cohorts import numbers, silent, with_settings
from hypothesis import given
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.networks.heads import build_head
from bonexray.networks.outputs import class_probabilities
from bonexray.train.batches import Batches, targets_of
from bonexray.train.cohort import balanced_weights
from bonexray.train.fit import Phase, fit
from bonexray.train.objective import LOSSES, OPTIMIZERS, loss_of, optimizer_of, reduction_of
from bonexray.train.settings import Train

LABELS = np.array([0, 2, 1, 1, 0, 2, 2, 0])
TWO = np.array([0, 1, 1, 0, 1, 1, 0, 1])

# Losses


def probabilities_of(output: str) -> np.ndarray:
    """Answers (8, 1) of a sigmoid or (8, 3) of another output, neither sure nor all alike."""
    rng = np.random.default_rng(7)
    return (rng.uniform(0.05, 0.95, (8, 1)) if output == "sigmoid" else rng.dirichlet([2, 2, 2], 8)).astype(np.float32)


def loss_by_formula(output: str, answers: np.ndarray, smoothing: float, gamma: float) -> np.ndarray:
    """One loss an image; a gamma of 0 is cross entropy (Lin et al., Focal loss for dense object detection, 2017)."""
    answers = answers.astype(np.float64)
    if output != "sigmoid":
        classes = answers.shape[1]
        targets = np.eye(classes)[LABELS] * (1 - smoothing) + smoothing / classes
        return -(targets * (1 - answers) ** gamma * np.log(answers)).sum(axis=1)
    targets, sure = TWO * (1 - smoothing) + smoothing / 2, answers[:, 0]
    entropy = -(targets * np.log(sure) + (1 - targets) * np.log(1 - sure))
    return entropy * (1 - targets * sure - (1 - targets) * (1 - sure)) ** gamma


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 2.0, 0.5])
@pytest.mark.parametrize(("output", "loss"), LOSSES)
def test_a_loss_is_that_of_its_formula(output: str, loss: str, gamma: float, smoothing: float) -> None:
    settings = with_settings(output=output, loss=loss, focal_gamma=gamma, label_smoothing=smoothing)
    labels, classes = (TWO, 2) if output == "sigmoid" else (LABELS, 3)
    answers = probabilities_of(output)
    found = float(loss_of(settings)(targets_of(labels, classes, settings), answers))
    used = gamma if loss == "focal" else 0
    assert found == pytest.approx(loss_by_formula(output, answers, smoothing, used).mean(), rel=1e-5)


def test_every_output_has_every_loss_of_the_settings() -> None:
    choices = {name: Train.model_fields[name].annotation.__args__ for name in ("output", "loss")}
    assert set(LOSSES) == {(output, loss) for output in choices["output"] for loss in choices["loss"]}


# Targets and answers


def test_targets_of_a_softmax_have_a_column_a_class() -> None:
    targets = targets_of(LABELS, 3, with_settings())
    assert (targets.shape, targets.dtype) == ((8, 3), np.float32)
    assert np.array_equal(targets.argmax(axis=1), LABELS)
    assert (np.sort(targets, axis=1) == [0, 0, 1]).all()


def test_targets_of_a_sigmoid_are_1_for_the_second_class() -> None:
    targets = targets_of(TWO, 2, with_settings(output="sigmoid"))
    assert (targets.shape, targets.dtype) == ((8, 1), np.float32)
    assert np.array_equal(targets[:, 0], TWO)


@pytest.mark.parametrize("classes", [1, 3, 4])
def test_a_sigmoid_is_refused_for_other_than_two_classes(classes: int) -> None:
    with pytest.raises(BonexrayError, match=rf"train\.output: expected softmax for {classes} classes"):
        targets_of(np.zeros(4, int), classes, with_settings(output="sigmoid"))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5))
def test_a_sigmoids_answers_become_a_column_a_class(second: list[float]) -> None:
    answers = class_probabilities(np.array(second, np.float32)[:, None])
    assert answers.shape == (len(second), 2)
    assert answers[:, 1] == pytest.approx(second)
    assert answers.sum(axis=1) == pytest.approx(1)


def test_a_softmaxs_answers_are_class_probabilities_already() -> None:
    answers = probabilities_of("softmax")
    assert np.array_equal(class_probabilities(answers), answers)


# Class weights


def test_balanced_weights_are_images_over_classes_times_images_of_the_class() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [3])
    assert balanced_weights(labels) == pytest.approx({0: 10 / 21, 1: 10 / 6, 3: 10 / 3})
    assert sum(balanced_weights(labels)[label] for label in labels) == pytest.approx(len(labels))


@pytest.mark.parametrize(
    ("output", "labels"), [("softmax", LABELS), ("sigmoid", TWO), ("cumulative", LABELS), ("corn", LABELS)]
)
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("weights", [None, {0: 2.0, 1: 0.5, 2: 3.0}])
def test_a_loss_in_fit_is_weighted_by_the_class_of_each_image(
    output: str, labels: np.ndarray, loss: str, weights: dict[int, float] | None, tmp_path: Path
) -> None:
    settings = with_settings(
        head="bare",
        standardize=False,
        dropout=0.0,
        output=output,
        loss=loss,
        label_smoothing=0.1,
        batch_images=8,
        epochs=1,
    )
    classes = int(labels.max()) + 1
    head, features = build_head({"a": 4}, classes, settings), np.random.default_rng(7).random((8, 4), dtype=np.float32)
    answers = head.predict_on_batch(features)
    by_image = [
        float(loss_of(settings)(targets_of(labels, classes, settings)[[i]], answers[[i]])) for i in range(len(labels))
    ]
    batches = Batches([lambda rows, _epoch: features[rows]], targets_of(labels, classes, settings), np.arange(8), 8)
    history = fit(head, batches, batches, weights, settings, Phase("head", 1, 1e-9), tmp_path / "a.weights.h5", silent)
    by_class = np.array([weights[label] if weights else 1.0 for label in labels])
    assert history["loss"].item() == pytest.approx((by_class * by_image).mean(), rel=1e-4)
    assert history["val_loss"].item() == pytest.approx(np.mean(by_image), rel=1e-4), "validation is never weighted"


# Optimisers and schedules


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_is_the_one_that_is_asked_for(name: str, schedule: str) -> None:
    optimizer = optimizer_of(with_settings(optimizer=name, schedule=schedule), 0.01, 5, 3)
    assert type(optimizer).__name__.removeprefix("Fused").lower() == name


def test_every_optimiser_of_the_settings_is_known() -> None:
    assert set(OPTIMIZERS) == set(Train.model_fields["optimizer"].annotation.__args__)


STEPS, EPOCHS = 5, 8


def rates(epochs: int = EPOCHS, **changes: object) -> list[float]:
    """The learning rate of every step, and what it would be after the last."""
    optimizer = optimizer_of(with_settings(**changes), 0.01, STEPS, epochs)
    found = []
    for step in range(epochs * STEPS + 1):
        optimizer.iterations.assign(step)
        found.append(float(numbers(optimizer.learning_rate)))
    return found


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_constant_rate_stays_and_a_plateaus_is_left_to_its_callback(schedule: str) -> None:
    assert rates(schedule=schedule, warmup_epochs=3, min_lr=1e-4) == pytest.approx([0.01] * (EPOCHS * STEPS + 1))


@pytest.mark.parametrize("lowest", [0.0, 1e-4])
def test_a_cosine_falls_from_the_largest_rate_to_the_lowest(lowest: float) -> None:
    expected = lowest + (0.01 - lowest) * (1 + np.cos(np.pi * np.linspace(0, 1, EPOCHS * STEPS + 1))) / 2
    assert rates(schedule="cosine", min_lr=lowest) == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("lowest", [0.0, 1e-4])
def test_a_warm_up_rises_from_0_in_a_line_and_then_falls_as_a_cosine(lowest: float) -> None:
    found, warm = rates(schedule="cosine", warmup_epochs=2, min_lr=lowest), 2 * STEPS
    falling = lowest + (0.01 - lowest) * (1 + np.cos(np.pi * np.linspace(0, 1, (EPOCHS - 2) * STEPS + 1))) / 2
    assert found[: warm + 1] == pytest.approx(np.linspace(0, 0.01, warm + 1), rel=1e-4, abs=1e-8)
    assert found[warm:] == pytest.approx(falling, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize(("epochs", "warmup"), [(2, 2), (2, 9), (1, 3)])
def test_a_warm_up_leaves_the_last_epoch_to_fall_in(epochs: int, warmup: int) -> None:
    found = rates(epochs, schedule="cosine", warmup_epochs=warmup, min_lr=1e-4)
    assert max(found) == pytest.approx(0.01) == found[(epochs - 1) * STEPS]
    assert found[-1] == pytest.approx(1e-4, rel=1e-3)


def test_a_cosine_whose_lowest_rate_is_above_its_largest_does_not_rise() -> None:
    assert max(rates(schedule="cosine", min_lr=0.1)) <= 0.0101


def test_a_plateau_lowers_the_rate_by_its_factor_but_not_below_its_bound() -> None:
    settings = with_settings(schedule="plateau", lr_factor=0.5, lr_patience=2, min_lr=0.002)
    (callback,) = reduction_of(settings)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(optimizer_of(settings, 0.01, STEPS, 9), "mse")
    callback.set_model(network)
    callback.on_train_begin()
    found = []
    for epoch, loss in enumerate([1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4]):
        callback.on_epoch_end(epoch, {"val_log_loss": loss})
        found.append(float(numbers(network.optimizer.learning_rate)))
    assert found == pytest.approx([0.01] * 3 + [0.005] * 2 + [0.0025] * 3 + [0.002] * 3)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_only_a_plateau_watches_validation(schedule: str) -> None:
    assert reduction_of(with_settings(schedule=schedule)) == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_is_a_setting_and_otherwise_the_optimisers_own(name: str) -> None:
    assert optimizer_of(with_settings(optimizer=name, weight_decay=0.02), 0.01, 5, 3).weight_decay == 0.02
    own = optimizer_of(with_settings(optimizer=name), 0.01, 5, 3).weight_decay
    assert own == OPTIMIZERS[name]().weight_decay
