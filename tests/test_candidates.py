"""The learning rate and weight decay of a head that gradients train: what is tried, what is kept, what is recorded."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
from cohorts import cohort_of, lay_out_features, lay_out_images, numbers, silent, with_settings
from sklearn.metrics import log_loss

from bonexray.data.paths import MODEL_CARD
from bonexray.registry import FROZEN, SCRATCH
from bonexray.train import network, training
from bonexray.train.candidates import DECAYS, RATES, candidates_of, choice_of
from bonexray.train.fit import probabilities
from bonexray.train.network import train_network
from bonexray.train.settings import Train
from bonexray.train.training import Trained, train_model

NAMES = {"a backbone": "densenet121", "a published head on two": "late_fusion"}
SETTINGS = with_settings(epochs=2)


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cohort with the features of every backbone of `NAMES`."""
    monkeypatch.chdir(tmp_path)
    lay_out_images(16)
    for backbone in ("densenet121", "vgg16", "inception_v3"):
        lay_out_features(backbone)


def train(name: str, settings: Train, heard: Callable = silent) -> Trained:
    """Train the head of a model as its stage does, into the folder `m`."""
    folder = Path("m")
    folder.mkdir()
    keras.utils.set_random_seed(settings.seed)
    return train_model(name, cohort_of(name, FROZEN, settings), folder, heard)


def trying(monkeypatch: pytest.MonkeyPatch, *settings: Train) -> None:
    """Make these the candidates."""
    monkeypatch.setattr(training, "candidates_of", lambda _settings: list(settings))


@pytest.mark.parametrize(("decay", "decays"), [(None, DECAYS), (0.3, [0.3]), (0.0, [0.0])])
def test_every_rate_is_tried_with_every_decay_or_with_that_of_the_settings(
    decay: float | None, decays: list[float]
) -> None:
    settings = with_settings(learning_rate=0.01, weight_decay=decay)
    candidates = candidates_of(settings)
    pairs = [(candidate.learning_rate, candidate.weight_decay) for candidate in candidates]
    assert pairs == [(pytest.approx(0.01 * rate), decay) for decay in decays for rate in RATES]
    others = {"learning_rate", "weight_decay"}
    assert all(candidate.model_dump(exclude=others) == settings.model_dump(exclude=others) for candidate in candidates)


def test_the_first_candidate_of_equal_loss_is_chosen() -> None:
    choice = choice_of([{"strength": 1.0}, {"strength": 2.0}, {"strength": 3.0}], [0.9, 0.5, 0.5])
    assert choice["chosen"] == {"strength": 2.0}
    assert choice["candidates"][2] == {"strength": 3.0, "val_log_loss": 0.5}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_candidate_of_the_lowest_validation_log_loss_is_kept_and_all_are_recorded(name: str) -> None:
    heard: list[tuple[int, float]] = []
    trained = train(name, SETTINGS, lambda number, metrics: heard.append((number, metrics["val_log_loss"])))
    rows = trained.choice["candidates"]
    assert len(rows) == len(RATES) * len(DECAYS)
    best = min(rows, key=lambda row: row["val_log_loss"])
    assert {**trained.choice["chosen"], "val_log_loss": best["val_log_loss"]} == best
    assert best["val_log_loss"] < max(row["val_log_loss"] for row in rows)
    assert heard == list(enumerate(trained.history["val_log_loss"], 1)), "one curve is told, that of the kept one"
    assert trained.history["learning_rate"].tolist() == pytest.approx([best["learning_rate"]] * SETTINGS.epochs)
    cohort = cohort_of(name, FROZEN)
    answers, labels = probabilities(trained.network, cohort.features("val")), cohort.labels[cohort.rows("val")]
    assert log_loss(labels, answers) == pytest.approx(best["val_log_loss"], rel=1e-5)
    assert [file.name for file in Path("m").iterdir()] == ["model.weights.h5"]


@pytest.mark.parametrize("schedule", [{"schedule": "cosine"}, {"schedule": "plateau", "lr_patience": 1}])
def test_candidates_start_from_the_same_weights_dropout_and_order_of_images(
    schedule: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = with_settings(epochs=3, weight_decay=0.0, **schedule)
    slower = with_settings(epochs=3, learning_rate=1e-6, weight_decay=0.0, **schedule)
    decayed = with_settings(epochs=3, weight_decay=1.0, **schedule)  # compiled anew
    trying(monkeypatch, one, slower, one, decayed, one)
    rows = train("densenet121", SETTINGS).choice["candidates"]
    first, other, again, decay, anew = (row["val_log_loss"] for row in rows)
    assert first == again == anew and len({first, other, decay}) == 3


def test_a_head_alone_and_among_candidates_ends_with_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = with_settings(epochs=2, weight_decay=0.0)
    worse = with_settings(epochs=2, learning_rate=1e-6, weight_decay=0.0)
    trying(monkeypatch, worse, one, worse)
    among = [numbers(weight) for weight in train("densenet121", SETTINGS).network.weights]
    Path("m/model.weights.h5").unlink()
    Path("m").rmdir()
    trying(monkeypatch, one)
    alone = [numbers(weight) for weight in train("densenet121", SETTINGS).network.weights]
    assert all(np.array_equal(left, right) for left, right in zip(among, alone, strict=True))


@pytest.mark.parametrize(
    ("name", "mode", "recorded"),
    [("densenet121", FROZEN, {"candidates", "chosen"}), ("small_cnn", SCRATCH, set())],
)
def test_the_card_records_what_was_chosen(
    name: str, mode: str, recorded: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "prepare_runtime", lambda *_, **__: None)
    cohort = cohort_of(name, mode, with_settings(epochs=1))
    train_network(name, cohort.row, cohort.train, cohort.augment, lambda *_: nullcontext(mock.Mock()))
    card = json.loads(Path(f"models/{name}/{MODEL_CARD}").read_text(encoding="utf-8"))
    assert {"candidates", "chosen"} & set(card) == recorded
