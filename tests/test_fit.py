"""Fitting: what is told of each epoch, which weights are kept, and when it stops."""

import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from cohorts import SETTINGS, silent, with_settings
from sklearn.metrics import log_loss

from bonexray.base.errors import BonexrayError
from bonexray.networks.heads import build_head
from bonexray.train.batches import Batches, targets_of
from bonexray.train.fit import Phase, fit, probabilities
from bonexray.train.recorded import EpochListener
from bonexray.train.settings import Train

LABELS = np.arange(36) % 3
FEATURES = (np.eye(3)[LABELS] + np.random.default_rng(7).normal(0, 0.5, (36, 3))).astype(np.float32)
CONTRADICTED = (LABELS + 1) % 3  # labels of validation that training leads away from: its loss rises from the start
METRICS = ["loss", "accuracy", "log_loss"]
COLUMNS = ["epoch", "phase", *METRICS, *(f"val_{name}" for name in METRICS), "learning_rate"]
BEST = "best.weights.h5"


def batches_of(features: np.ndarray, labels: np.ndarray, rows: np.ndarray, seed: int | None = None) -> Batches:
    return Batches([lambda chosen, _epoch: features[chosen]], targets_of(labels, 3, SETTINGS), rows, 4, seed)


def a_head(settings: Train = SETTINGS) -> keras.Model:
    keras.utils.set_random_seed(7)
    return build_head({"a": 3}, 3, settings.model_copy(update={"standardize": False}))


class Fitted:
    """A head fitted to 24 features of three classes that can be told apart, validated on 12 others."""

    def __init__(
        self,
        folder: Path,
        settings: Train = SETTINGS,
        *,
        epochs: int = 6,
        features: np.ndarray = FEATURES,
        val_labels: np.ndarray = LABELS,
        phase: Callable[..., Phase] = Phase,
        on_epoch: EpochListener = silent,
    ) -> None:
        self.checkpoint, self.head = folder / BEST, a_head(settings)
        self.val = batches_of(features, val_labels, np.arange(24, 36))
        train = batches_of(features, LABELS, np.arange(24), settings.seed)
        phase_of_it = phase("head", epochs, settings.learning_rate)
        self.history = fit(self.head, train, self.val, None, settings, phase_of_it, self.checkpoint, on_epoch)

    @property
    def kept(self) -> keras.Model:
        """A head with the weights in the checkpoint."""
        head = a_head()
        head.load_weights(self.checkpoint)
        return head

    def loss_of(self, head: keras.Model) -> float:
        """Mean cross entropy on validation, from probabilities."""
        targets = np.concatenate([self.val[number][1] for number in range(len(self.val))])
        return float(-np.log((probabilities(head, self.val) * targets).sum(axis=1)).mean())


# What is told


def test_the_history_has_a_row_an_epoch_and_the_listener_hears_each_as_it_ends(tmp_path: Path) -> None:
    heard: list[tuple[int, dict[str, float], bool]] = []

    def listen(number: int, metrics: dict[str, float]) -> None:
        heard.append((number, metrics, (tmp_path / BEST).exists()))

    history = Fitted(tmp_path, on_epoch=listen).history
    assert list(history.columns) == COLUMNS
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert set(history["phase"]) == {"head"}
    assert [{"epoch": number, "phase": "head", **metrics} for number, metrics, _ in heard] == history.to_dict("records")
    assert not heard[0][2], "the first epoch is told before anything later happens"


def test_validation_metrics_are_those_of_the_network_as_it_is_after_the_epoch(tmp_path: Path) -> None:
    fitted = Fitted(tmp_path, epochs=1)
    assert fitted.history["val_loss"].item() == pytest.approx(fitted.loss_of(fitted.head), rel=1e-5)
    answers = probabilities(fitted.head, fitted.val).argmax(axis=1)
    assert fitted.history["val_accuracy"].item() == pytest.approx((answers == LABELS[24:]).mean())


def test_epochs_count_on_from_earlier_phases(tmp_path: Path) -> None:
    heard: list[int] = []
    fitted = Fitted(
        tmp_path,
        epochs=2,
        phase=lambda _name, *rest: Phase("network", *rest, epochs_before=5),
        on_epoch=lambda number, _metrics: heard.append(number),
    )
    assert heard == list(fitted.history["epoch"]) == [6, 7]
    assert set(fitted.history["phase"]) == {"network"}


def test_the_history_tells_the_learning_rate_of_a_cosine_as_it_stands_after_each_epoch(tmp_path: Path) -> None:
    settings = with_settings(schedule="cosine", warmup_epochs=2, min_lr=1e-4)
    rates = Fitted(tmp_path, settings).history["learning_rate"]
    assert rates.iloc[:2].tolist() == pytest.approx([0.005, 0.01])
    assert rates.iloc[1:].is_monotonic_decreasing
    assert rates.iloc[-1] == pytest.approx(1e-4, rel=1e-3)


def test_the_learning_rate_falls_on_a_plateau_but_not_below_its_bound(tmp_path: Path) -> None:
    settings = with_settings(schedule="plateau", lr_patience=1, min_lr=0.004)
    rates = Fitted(tmp_path, settings, val_labels=CONTRADICTED).history["learning_rate"]
    assert rates.iloc[0] == pytest.approx(0.01)
    assert rates.is_monotonic_decreasing
    assert rates.iloc[-1] == pytest.approx(0.004)


# What is fitted


def test_training_learns(tmp_path: Path) -> None:
    history = Fitted(tmp_path, epochs=15).history
    assert history["loss"].iloc[-1] < 0.8 * history["loss"].iloc[0]
    assert history["accuracy"].iloc[-1] > 0.6


def test_every_epoch_of_training_is_one_epoch_of_the_batches(tmp_path: Path) -> None:
    read: dict[int, set[int]] = {}

    def reader(rows: np.ndarray, epoch: int) -> np.ndarray:
        read.setdefault(epoch, set()).update(rows.tolist())
        return FEATURES[rows]

    train = Batches([reader], targets_of(LABELS, 3, SETTINGS), np.arange(24), 4, 7)
    val = batches_of(FEATURES, LABELS, np.arange(24, 36))
    fit(a_head(), train, val, None, SETTINGS, Phase("head", 3, 0.01), tmp_path / BEST, silent)
    first = min(set(read) - {0})  # Keras looks at a few batches, and ends an epoch, before the first one
    assert {epoch: rows for epoch, rows in read.items() if epoch} == {first + i: set(range(24)) for i in range(3)}


# What is kept


def test_the_kept_weights_are_those_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    fitted = Fitted(tmp_path, val_labels=CONTRADICTED)
    losses = fitted.history["val_loss"]
    assert losses.idxmin() < len(losses) - 1, "the last epoch must not be the best one here"
    assert fitted.loss_of(fitted.kept) == pytest.approx(losses.min(), rel=1e-5)
    assert fitted.loss_of(fitted.head) == pytest.approx(losses.iloc[-1], rel=1e-5)


def better_than(best: float) -> Callable[..., Phase]:
    return lambda *arguments: Phase(*arguments, best=best)


def test_nothing_is_written_where_no_epoch_is_better_than_an_earlier_phase(tmp_path: Path) -> None:
    (tmp_path / BEST).write_bytes(b"of the earlier phase")
    Fitted(tmp_path, phase=better_than(1e-3))
    assert (tmp_path / BEST).read_bytes() == b"of the earlier phase"


def test_an_epoch_that_is_better_than_an_earlier_phase_is_written(tmp_path: Path) -> None:
    fitted = Fitted(tmp_path, epochs=3, phase=better_than(50.0))
    assert fitted.loss_of(fitted.kept) == pytest.approx(fitted.history["val_loss"].min(), rel=1e-5)


# When it stops


def test_training_stops_when_validation_has_not_improved_for_a_while(tmp_path: Path) -> None:
    losses = Fitted(tmp_path, with_settings(patience=3), epochs=30, val_labels=CONTRADICTED).history["val_loss"]
    assert len(losses) == losses.idxmin() + 1 + 3


def test_an_improvement_begins_the_patience_anew(tmp_path: Path) -> None:
    losses = Fitted(tmp_path, with_settings(patience=2, learning_rate=0.002), epochs=12).history["val_loss"]
    assert len(losses) == 12
    assert losses.is_monotonic_decreasing


def test_a_phase_that_never_gets_better_than_an_earlier_one_stops_too(tmp_path: Path) -> None:
    history = Fitted(
        tmp_path, with_settings(patience=3), epochs=30, val_labels=CONTRADICTED, phase=better_than(1e-3)
    ).history
    assert len(history) <= 4


def test_a_loss_that_is_not_a_number_stops_training_with_what_to_do(tmp_path: Path) -> None:
    features = np.full((36, 3), np.nan, np.float32)
    with pytest.raises(BonexrayError, match=r"training, epoch 1: expected a finite loss, received nan; lower train\."):
        Fitted(tmp_path, with_settings(head="bare"), features=features)


def test_a_validation_loss_that_is_not_a_number_stops_training(tmp_path: Path) -> None:
    features = np.ones((36, 3), np.float32)
    features[30] = np.nan
    with pytest.raises(BonexrayError, match="training, epoch 1: expected a finite val_loss"):
        Fitted(tmp_path, with_settings(head="bare"), features=features)


def test_the_epoch_in_which_training_failed_is_counted_over_all_phases(tmp_path: Path) -> None:
    features = np.full((36, 3), np.nan, np.float32)
    phase = lambda *arguments: Phase(*arguments, epochs_before=5)  # noqa: E731
    with pytest.raises(BonexrayError, match=r"training, epoch 6: .* or fine_tune\.learning_rate in its phase"):
        Fitted(tmp_path, with_settings(head="bare"), features=features, phase=phase)


@pytest.mark.parametrize("head", ["standard", "bare"])
def test_a_learning_rate_beyond_measure_stops_training(head: str, tmp_path: Path) -> None:
    with pytest.raises(BonexrayError, match=r"lower train\.learning_rate"):
        Fitted(tmp_path, with_settings(head=head, learning_rate=1e38))


def test_a_phase_begins_with_nothing_before_it() -> None:
    assert Phase("head", 1, 0.1) == Phase("head", 1, 0.1, epochs_before=0, best=math.inf)


# What comes out


@pytest.mark.parametrize(("output", "columns"), [("softmax", 3), ("sigmoid", 2)])
def test_probabilities_are_a_row_an_image_and_a_column_a_class(output: str, columns: int) -> None:
    settings = with_settings(output=output, standardize=False)
    batches = Batches(
        [lambda rows, _epoch: FEATURES[rows]], targets_of(LABELS % columns, columns, settings), np.arange(10), 4
    )
    head = build_head({"a": 3}, columns, settings)
    answers = probabilities(head, batches)
    assert answers.shape == (10, columns)
    assert answers.sum(axis=1) == pytest.approx(1)
    assert answers[:, -1] == pytest.approx(head.predict(FEATURES[:10], verbose=0)[:, -1], rel=1e-5)
    assert pd.notna(answers).all()


# What is monitored, and with which statistics


def test_the_monitored_log_loss_has_no_penalty_and_no_smoothing(tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    features = keras.Input((3,))
    penalised = keras.layers.Dense(3, "softmax", kernel_regularizer=keras.regularizers.L2(0.5))(features)
    network, settings = keras.Model(features, penalised), with_settings(label_smoothing=0.1)
    train, val = (batches_of(FEATURES, LABELS, rows) for rows in (np.arange(24), np.arange(24, 36)))
    history = fit(network, train, val, None, settings, Phase("head", 1, 0.01), tmp_path / BEST, silent)
    expected = log_loss(LABELS[24:], probabilities(network, val).astype(float))
    assert history["val_log_loss"].item() == pytest.approx(expected, rel=1e-5)
    assert history["val_loss"].item() > expected + 0.1


def test_the_epoch_is_chosen_by_the_log_loss_and_not_by_the_penalised_loss(tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    features = keras.Input((3,))
    start = keras.initializers.Constant(3 * np.eye(3))
    penalised = keras.layers.Dense(
        3, "softmax", kernel_initializer=start, kernel_regularizer=keras.regularizers.L2(10.0)
    )(features)
    network = keras.Model(features, penalised)
    train, val = (batches_of(FEATURES, LABELS, rows) for rows in (np.arange(24), np.arange(24, 36)))
    history = fit(network, train, val, None, SETTINGS, Phase("head", 12, 0.3), tmp_path / BEST, silent)
    assert history["val_loss"].idxmin() != history["val_log_loss"].idxmin(), "the two must differ here"
    network.load_weights(tmp_path / BEST)
    kept = log_loss(LABELS[24:], probabilities(network, val).astype(float))
    assert kept == pytest.approx(history["val_log_loss"].min(), rel=1e-5)


def test_training_stops_when_the_log_loss_and_not_the_penalised_loss_stops_falling(tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    features, start = keras.Input((3,)), keras.initializers.Constant(3 * np.eye(3))
    penalty = keras.regularizers.L2(10.0)
    outputs = keras.layers.Dense(3, "softmax", kernel_initializer=start, kernel_regularizer=penalty)(features)
    train, val = (batches_of(FEATURES, LABELS, rows) for rows in (np.arange(24), np.arange(24, 36)))
    settings, network = with_settings(patience=2), keras.Model(features, outputs)
    history = fit(network, train, val, None, settings, Phase("head", 40, 0.05), tmp_path / BEST, silent)
    assert history["val_loss"].is_monotonic_decreasing, "the penalty alone must go on falling here"
    assert len(history) == history["val_log_loss"].idxmin() + 1 + settings.patience


def test_after_an_epoch_inference_and_training_agree_on_the_training_images(tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    rng, rows = np.random.default_rng(7), np.arange(100)
    labels, images = rows % 3, rng.normal(5.0, 3.0, (100, 8, 8, 1)).astype(np.float32)
    entry = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(8, 3)(entry)
    x = keras.layers.Dropout(0.3)(keras.layers.ReLU()(keras.layers.BatchNormalization()(x)))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3)(x))
    x = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x))
    network = keras.Model(entry, x)
    batches = Batches([lambda chosen, _epoch: images[chosen]], targets_of(labels, 3, SETTINGS), rows, 10, 7)
    fit(network, batches, batches, None, SETTINGS, Phase("network", 1, 0.001), tmp_path / BEST, silent)
    network.load_weights(tmp_path / BEST)
    inference = network.predict(images, verbose=0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    training = keras.ops.convert_to_numpy(network(images, training=True))
    assert np.abs(inference - training).mean() < 0.01


class Counted(keras.layers.Layer):
    """A layer that counts how often Python calls it; a compiled network calls it once for inputs of a kind."""

    calls = 0

    def call(self, x):
        """Return the input."""
        Counted.calls += 1
        return x


def test_statistics_are_estimated_by_a_compiled_pass_with_the_same_bytes_in_every_run(tmp_path: Path) -> None:
    def run() -> tuple[list[np.ndarray], list[int]]:
        keras.utils.set_random_seed(7)
        entry, calls = keras.Input((3,)), []
        x = keras.layers.BatchNormalization()(Counted()(keras.layers.Dense(8)(entry)))
        network = keras.Model(entry, keras.layers.Dense(3, "softmax")(keras.layers.Dropout(0.3)(x)))
        train, val = (batches_of(FEATURES, LABELS, rows) for rows in (np.arange(24), np.arange(24, 36)))
        phase = Phase("network", 4, 0.01)
        fit(network, train, val, None, SETTINGS, phase, tmp_path / BEST, lambda *_: calls.append(Counted.calls))
        return network.get_weights(), calls

    (first, calls), (again, _) = run(), run()
    assert calls[0] < 6 and calls == [calls[0]] * 4, "no pass in Python after the first epoch"
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
