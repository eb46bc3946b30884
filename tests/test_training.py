"""Batches, standardised features, fitting, and the card that names a training."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

from bonexray.config import Model, Train
from bonexray.data.manifest import write_manifest
from bonexray.errors import BonexrayError
from bonexray.models.heads import STANDARDIZE, build_head
from bonexray.models.standardize import Standardize
from bonexray.outputs import write_json
from bonexray.training.batches import Batches
from bonexray.training.features import FEATURES, extract_features, read_features_card, write_features_card
from bonexray.training.fit import MONITOR, balanced_weights, fit, probabilities
from bonexray.training.runtime import prepare_runtime
from bonexray.training.train import Cohort, adapt, model_card, open_cohort, train_model

CLASSES = ["osteoporosis", "normal", "osteopenia"]  # not the alphabet's order
SETTINGS = Train(
    head="standard", standardize=True, epochs=6, batch_images=4, optimizer="adam", learning_rate=0.01, dropout=0.2,
    dropout_2=0.2, class_weights="balanced", patience=6, lr_factor=0.5, lr_patience=6, min_lr=0.0, deterministic=True,
    seed=7,
)  # fmt: skip
PX, WIDTH = 16, {"resnet50": 2048, "densenet121": 1024}
HEAD = Model(inputs=["data/features/densenet121"])
FUSION = Model(inputs=["data/features/resnet50", "data/features/densenet121"])
CNN = Model(inputs=["data/prepared"])


def silent(_number: int, _metrics: dict[str, float]) -> None:
    """An epoch's listener that does nothing."""


def numbers(tensor: object) -> np.ndarray:
    """A tensor or a variable as an array of its own."""
    return keras.ops.convert_to_numpy(tensor).copy()


def with_settings(**changes: object) -> Train:
    return SETTINGS.model_copy(update=changes)


# Batches


def batches_of(rows: int = 10, batch_images: int = 4, seed: int | None = None) -> Batches:
    inputs = np.arange(20, dtype=np.float32)[:, None]
    return Batches([inputs], np.arange(20), np.arange(rows), batch_images, seed)


def epoch_of(batches: Batches) -> list[int]:
    """The rows of an epoch, in their order."""
    rows = [int(label) for number in range(len(batches)) for label in batches[number][1]]
    batches.on_epoch_end()
    return rows


def test_without_a_seed_the_order_is_kept_in_every_epoch() -> None:
    batches = batches_of()
    assert epoch_of(batches) == epoch_of(batches) == list(range(10))


def test_with_a_seed_every_row_comes_once_an_epoch_in_another_order() -> None:
    batches = batches_of(seed=1)
    epochs = [epoch_of(batches) for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_same_seed_gives_the_same_order() -> None:
    one, again, other = (batches_of(seed=seed) for seed in (1, 1, 2))
    epochs = [[epoch_of(batches) for _ in range(2)] for batches in (one, again, other)]
    assert epochs[0] == epochs[1] != epochs[2]


def test_the_last_batch_holds_what_is_left() -> None:
    batches = batches_of()
    assert len(batches) == 3
    assert [len(batches[number][1]) for number in range(3)] == [4, 4, 2]


def test_inputs_and_labels_stay_together() -> None:
    batches = batches_of(seed=1)
    for number in range(len(batches)):
        inputs, labels = batches[number]
        assert np.array_equal(inputs[:, 0], labels)


def test_several_inputs_come_as_a_tuple_of_the_same_rows() -> None:
    one = np.arange(6)[:, None]
    (first, second), labels = Batches([one, one * 10], np.arange(6), np.arange(6), 4, 1)[0]
    assert np.array_equal(first * 10, second)
    assert np.array_equal(first[:, 0], labels)
    assert first.dtype == np.float32


def test_shuffling_leaves_the_callers_rows_alone() -> None:
    rows = np.arange(10)
    Batches([np.zeros((10, 1))], np.zeros(10), rows, 4, 1)
    assert np.array_equal(rows, np.arange(10))


# Standardised features


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e6])
def test_standardising_takes_the_mean_and_deviation_of_the_features(scale: float) -> None:
    features = (np.random.default_rng(7).normal(3, 2, (37, 5)) * scale).astype(np.float32)
    layer = Standardize()
    layer.build((None, 5))
    layer.adapt(np.array_split(features, 4))
    exact = features.astype(np.float64)
    assert numbers(layer.mean) == pytest.approx(exact.mean(axis=0), rel=1e-5)
    assert numbers(layer.std) == pytest.approx(exact.std(axis=0), rel=1e-5)
    seen = numbers(layer(features)).astype(np.float64)
    assert seen.mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert seen.std(axis=0) == pytest.approx(1, abs=1e-4)


def test_a_feature_that_hardly_varies_does_not_outweigh_the_others() -> None:
    features = np.random.default_rng(7).normal(0, 1, (40, 9)).astype(np.float32)
    features[:, 4] *= 1e-4
    layer = Standardize()
    layer.build((None, 9))
    layer.adapt([features])
    unusual = np.zeros((1, 9), np.float32)
    unusual[0, 4] = 0.3
    assert np.abs(numbers(layer(unusual))).max() < 10


def test_a_feature_that_never_varies_keeps_its_scale() -> None:
    layer = Standardize()
    layer.build((None, 1))
    layer.adapt([np.full((3, 1), 5.0)])
    assert numbers(layer(np.array([[5.0], [6.0]]))).ravel() == pytest.approx([0, 1])


# Fitting

FitResult = tuple[keras.Model, pd.DataFrame, Batches]


def fitted(settings: Train, folder: Path, features: np.ndarray | None = None, **options: object) -> FitResult:
    """A head fitted to 24 features of three classes that can be told apart, validated on 12 others."""
    keras.utils.set_random_seed(settings.seed)
    labels = np.arange(36) % 3
    if features is None:
        features = (np.eye(3)[labels] + np.random.default_rng(7).normal(0, 0.5, (36, 3))).astype(np.float32)
    head = build_head({"a": 3}, 3, settings.model_copy(update={"standardize": False}))
    train = Batches([features], labels, np.arange(24), settings.batch_images, settings.seed)
    val = Batches([features], options.get("val_labels", labels), np.arange(24, 36), settings.batch_images)
    listener = options.get("on_epoch", silent)
    history = fit(head, train, val, None, settings, folder / "best.weights.h5", listener)
    return head, history, val


def wrong_on_validation() -> np.ndarray:
    """Labels that training contradicts on validation, so that its loss rises from the start."""
    return (np.arange(36) + 1) % 3


def test_the_history_has_a_row_an_epoch_and_the_listener_hears_each(tmp_path: Path) -> None:
    heard: list[tuple[int, dict[str, float]]] = []
    _, history, _ = fitted(SETTINGS, tmp_path, on_epoch=lambda *epoch: heard.append(epoch))
    assert list(history.columns) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert [{"epoch": number, **metrics} for number, metrics in heard] == history.to_dict("records")


def test_training_learns(tmp_path: Path) -> None:
    _, history, _ = fitted(with_settings(epochs=15), tmp_path)
    assert history["loss"].iloc[-1] < 0.8 * history["loss"].iloc[0]
    assert history["accuracy"].iloc[-1] > 0.6


def test_the_kept_weights_are_those_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    head, history, val = fitted(SETTINGS, tmp_path, val_labels=wrong_on_validation())
    assert history[MONITOR].idxmin() < len(history) - 1, "the last epoch must not be the best one here"
    last = head.evaluate(val, verbose=0)[0]
    head.load_weights(tmp_path / "best.weights.h5")
    assert head.evaluate(val, verbose=0)[0] == pytest.approx(history[MONITOR].min(), rel=1e-5)
    assert last == pytest.approx(history[MONITOR].iloc[-1], rel=1e-5)


def test_training_stops_when_validation_has_not_improved_for_a_while(tmp_path: Path) -> None:
    _, history, _ = fitted(with_settings(epochs=30, patience=3), tmp_path, val_labels=wrong_on_validation())
    assert len(history) == history[MONITOR].idxmin() + 1 + 3


def test_the_learning_rate_falls_on_a_plateau_but_not_below_its_bound(tmp_path: Path) -> None:
    settings = with_settings(epochs=6, lr_patience=1, min_lr=0.004)
    _, history, _ = fitted(settings, tmp_path, val_labels=wrong_on_validation())
    rates = history["learning_rate"]
    assert rates.iloc[0] == pytest.approx(0.01)
    assert rates.is_monotonic_decreasing
    assert rates.iloc[-1] == pytest.approx(0.004)


def test_a_loss_that_is_not_a_number_stops_training_with_what_to_do(tmp_path: Path) -> None:
    features = np.full((36, 3), np.nan, np.float32)
    with pytest.raises(BonexrayError, match=r"training, epoch 1: expected a finite loss, received nan; lower train\."):
        fitted(with_settings(head="bare"), tmp_path, features=features)


def test_a_validation_loss_that_is_not_a_number_stops_training(tmp_path: Path) -> None:
    features = np.ones((36, 3), np.float32)
    features[30] = np.nan
    with pytest.raises(BonexrayError, match="expected a finite val_loss"):
        fitted(with_settings(head="bare"), tmp_path, features=features)


@pytest.mark.parametrize("head", ["standard", "bare"])
def test_a_learning_rate_beyond_measure_stops_training(head: str, tmp_path: Path) -> None:
    with pytest.raises(BonexrayError, match=r"lower train\.learning_rate"):
        fitted(with_settings(head=head, learning_rate=1e38), tmp_path)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adamax"])
def test_every_optimiser_is_the_one_that_is_asked_for(optimizer: str, tmp_path: Path) -> None:
    head, _, _ = fitted(with_settings(optimizer=optimizer, epochs=1), tmp_path)
    assert type(head.optimizer).__name__.lower() == optimizer


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.array([0] * 7 + [1] * 2 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels) == pytest.approx(dict(enumerate(expected)))
    assert sum(balanced_weights(labels)[label] for label in labels) == pytest.approx(len(labels))


# A model from the files of earlier stages


def lay_out(folder: Path) -> None:
    """A cohort of 30 images of three classes below a folder, prepared and as features of two backbones."""
    rng = np.random.default_rng(7)
    labels = np.array(CLASSES)[np.r_[np.arange(27) % 3, 0, 0, 0]]
    rows = pd.DataFrame({
        "id": [f"{i:016x}" for i in range(30)], "path": [f"{i}.png" for i in range(30)], "label": labels,
        "group": [f"p{i}" for i in range(30)], "split": (["train"] * 3 + ["val"] + ["test"]) * 6, "sha256": "0",
    })  # fmt: skip
    shade = np.array([CLASSES.index(label) for label in labels]) / 3
    prepared = folder / "data/prepared"
    prepared.mkdir(parents=True)
    write_manifest(rows, CLASSES)
    np.save(prepared / "images.npy", (shade[:, None, None] + rng.random((30, PX, PX)) / 3).astype(np.float32))
    for backbone, width in WIDTH.items():
        target = folder / "data/features" / backbone
        target.mkdir(parents=True)
        np.save(target / FEATURES, (shade[:, None] / 50 + rng.random((30, width))).astype(np.float32) * 1e-9)
        write_json(target / "features.json", {"backbone": backbone, "weights_sha256": "0" * 64, "img_px": 32})


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of such a cohort, which is where the test runs."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


def trained(
    name: str, row: Model, folder: Path, settings: Train = SETTINGS
) -> tuple[keras.Model, pd.DataFrame, Cohort]:
    prepare_runtime(settings.seed, deterministic=True)
    folder.mkdir()
    cohort = open_cohort(row)
    return *train_model(model_card(name, cohort, settings), cohort, settings, folder, silent), cohort


def test_validation_sees_the_prepared_images_unaltered_in_every_epoch(study: Path) -> None:
    cohort = open_cohort(CNN)
    images = np.load(study / "data/prepared/images.npy")[(cohort.manifest["split"] == "val").to_numpy()]
    val = cohort.batches("val", 4)
    for _epoch in range(3):
        seen = np.concatenate([val[number][0] for number in range(len(val))])
        assert seen.tobytes() == images[..., None].tobytes()
        val.on_epoch_end()


def test_labels_are_places_in_the_class_map(study: Path) -> None:
    cohort = open_cohort(HEAD)
    assert [CLASSES[number] for number in cohort.labels] == list(cohort.manifest["label"])


def test_batches_of_a_split_hold_its_rows_and_without_one_all(study: Path) -> None:
    cohort = open_cohort(HEAD)
    train = cohort.batches("train", 4, shuffle_seed=7)
    labels = np.concatenate([train[number][1] for number in range(len(train))])
    assert sorted(labels) == sorted(cohort.labels[(cohort.manifest["split"] == "train").to_numpy()])
    every = cohort.batches(None, 7)
    assert np.array_equal(np.concatenate([every[number][1] for number in range(len(every))]), cohort.labels)


def test_a_head_standardises_by_the_training_split_alone(study: Path) -> None:
    cohort = open_cohort(FUSION)
    head = build_head(WIDTH, 3, SETTINGS)
    adapt(head, cohort.batches("train", 4))
    rows = (cohort.manifest["split"] == "train").to_numpy()
    expected = np.concatenate([array[rows].astype(np.float64) for array in cohort.inputs], axis=1)
    layer = head.get_layer(STANDARDIZE)
    assert numbers(layer.mean) == pytest.approx(expected.mean(axis=0), rel=1e-5)
    assert numbers(layer.std) == pytest.approx(expected.std(axis=0), rel=1e-5)


MODELS = {"compact_cnn": CNN, "densenet121": HEAD, "resnet50_densenet121": FUSION}


def test_what_is_returned_and_left_in_the_one_file_is_the_best_epoch(study: Path) -> None:
    settings = with_settings(epochs=4)
    network, history, cohort = trained("resnet50_densenet121", FUSION, study / "m", settings)
    reloaded = build_head(WIDTH, 3, settings)
    reloaded.load_weights(study / "m" / "model.weights.h5")
    val = (cohort.manifest["split"] == "val").to_numpy()
    for kept in (network, reloaded):
        answers = probabilities(kept, cohort.batches("val", 4))
        loss = sk.log_loss(cohort.labels[val], answers, labels=range(3))
        assert loss == pytest.approx(history["val_loss"].min(), rel=1e-3)
    assert history["val_loss"].min() > 1e-3
    assert [file.name for file in (study / "m").iterdir()] == ["model.weights.h5"]


@pytest.mark.parametrize("name", MODELS)
def test_no_kernel_is_left_as_it_was_initialised(name: str, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[list[np.ndarray]] = []

    def remember(*arguments: object) -> pd.DataFrame:
        built.append([numbers(weight) for weight in arguments[0].trainable_weights])
        return fit(*arguments)

    monkeypatch.setattr("bonexray.training.train.fit", remember)
    network, _, _ = trained(name, MODELS[name], study / "m", with_settings(epochs=1))
    pairs = zip(built[0], network.trainable_weights, strict=True)
    same = [
        weight.path for before, weight in pairs if np.array_equal(before, numbers(weight)) and weight.name == "kernel"
    ]
    assert same == []


@pytest.mark.parametrize(("choice", "expected"), [("balanced", True), ("none", False)])
def test_classes_are_weighted_where_asked(
    choice: str, expected: bool, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[int, float] | None] = []

    def remember(*arguments: object) -> pd.DataFrame:
        given.append(arguments[3])
        return fit(*arguments)

    monkeypatch.setattr("bonexray.training.train.fit", remember)
    _, _, cohort = trained("densenet121", HEAD, study / "m", with_settings(class_weights=choice, epochs=1))
    labels = cohort.labels[(cohort.manifest["split"] == "train").to_numpy()]
    assert given == [balanced_weights(labels) if expected else None]


def test_a_head_trained_twice_is_the_same_bytes(study: Path) -> None:
    histories = []
    for run in ("one", "two"):
        keras.backend.clear_session()
        histories.append(trained("resnet50_densenet121", FUSION, study / run)[1])
    one, two = ((study / run / "model.weights.h5").read_bytes() for run in ("one", "two"))
    assert one == two
    pd.testing.assert_frame_equal(*histories, check_exact=True)


TRAINING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import CNN, open_cohort, model_card, prepare_runtime, silent, train_model, with_settings
settings, folder = with_settings(epochs=2), Path(sys.argv[2])
prepare_runtime(settings.seed, deterministic=True, one_thread=True)
cohort = open_cohort(CNN)
_, history = train_model(model_card("compact_cnn", cohort, settings), cohort, settings, folder, silent)
history.to_csv(folder / "history.csv")
"""


def test_a_network_trained_in_two_processes_is_the_same_bytes(study: Path) -> None:
    runs = []
    for run in ("one", "two"):
        (study / run).mkdir()
        command = [sys.executable, "-c", TRAINING, str(Path(__file__).parent), str(study / run)]
        runs.append(subprocess.Popen(command, cwd=study, stderr=subprocess.PIPE, text=True))
    for process in runs:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for file in ("model.weights.h5", "history.csv"):
        assert (study / "one" / file).read_bytes() == (study / "two" / file).read_bytes()


# The card


def card() -> dict[str, object]:
    return model_card("densenet121", open_cohort(HEAD), SETTINGS)


def test_a_card_says_what_the_model_was_made_of(study: Path) -> None:
    found = card()
    assert (found["model"], found["trained"], found["classes"]) == ("densenet121", "head", CLASSES)
    assert found["backbones"] == {"densenet121": "0" * 64}
    assert list(found["inputs_sha256"]) == ["data/features/densenet121/features.npy"]
    assert found["train"] == SETTINGS.model_dump()
    assert json.loads(json.dumps(found)) == found


def test_the_card_of_a_network_names_no_backbone(study: Path) -> None:
    found = model_card("compact_cnn", open_cohort(CNN), SETTINGS)
    assert (found["trained"], found["backbones"]) == ("network", {})
    assert list(found["inputs_sha256"]) == ["data/prepared/images.npy"]


def test_nothing_changed_is_the_same_fingerprint(study: Path) -> None:
    before = card()["fingerprint"]
    (study / "data/features/densenet121/features.npy").touch()
    (study / "unrelated.txt").write_text("a")
    np.save(study / "data/prepared/images.npy", np.zeros((30, PX, PX), np.float32))
    assert card()["fingerprint"] == before


def add_noise(file: Path) -> None:
    np.save(file, np.load(file) + 1e-3)


CHANGES: dict[str, Callable[[Path], object]] = {
    "features": lambda data: add_noise(data / "features/densenet121/features.npy"),
    "weights": lambda data: write_json(
        data / "features/densenet121/features.json", {"weights_sha256": "1" * 64, "img_px": 32}
    ),
    "manifest": lambda data: (data / "split/manifest.csv").open("a").write("a,a.png,normal,p,train,0\n"),
    "classes": lambda data: write_json(data / "split/classes.json", {"classes": sorted(CLASSES)}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_input_is_another_fingerprint(what: str, study: Path) -> None:
    before = card()["fingerprint"]
    CHANGES[what](study / "data")
    assert card()["fingerprint"] != before


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("setting", Train.model_fields)
def test_a_changed_setting_is_another_fingerprint(setting: str, study: Path) -> None:
    cohort = open_cohort(HEAD)
    changed = SETTINGS.model_copy(update={setting: "another"})
    fingerprints = {model_card("densenet121", cohort, settings)["fingerprint"] for settings in (SETTINGS, changed)}
    assert len(fingerprints) == 2


# Features


def tiny_encoder() -> keras.Model:
    image = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(5, 3)(image)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps), name="tiny_encoder")


@pytest.mark.parametrize("count", [1, 4, 10])
def test_features_are_those_of_the_encoder_also_in_a_partial_last_batch(count: int, tmp_path: Path) -> None:
    encoder, images = tiny_encoder(), np.random.default_rng(7).random((count, 8, 8), dtype=np.float32)
    extract_features(encoder, images, tmp_path / FEATURES, batch_images=4)
    found = np.load(tmp_path / FEATURES, mmap_mode="r")
    assert (found.shape, found.dtype) == ((count, 5), np.float32)
    assert found == pytest.approx(encoder.predict(images[..., None], verbose=0), rel=1e-5, abs=1e-6)


def test_the_features_card_names_the_weights(tmp_path: Path) -> None:
    (tmp_path / "a.weights.h5").write_bytes(b"weights")
    write_features_card(tmp_path, "densenet121", tmp_path / "a.weights.h5", 32)
    card = read_features_card(tmp_path)
    assert card["weights_sha256"] == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert (card["backbone"], card["img_px"]) == ("densenet121", 32)


def test_features_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    images = np.full((3, 8, 8), np.nan, np.float32)
    with pytest.raises(BonexrayError, match="expected finite features"):
        extract_features(tiny_encoder(), images, tmp_path / FEATURES, batch_images=4)
