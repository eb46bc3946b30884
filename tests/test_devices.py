"""Training on two devices, in 16-bit numbers, without determinism, and with another backend."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from cohorts import lay_out_features, lay_out_images, trained, with_settings

from bonexray import runtime
from bonexray.runtime import prepare_runtime, start_anew
from bonexray.train.fit import probabilities

TESTS = Path(__file__).parent


def python(code: str, *arguments: object, **environment: str) -> str:
    """What a program prints that runs in a process of its own and may import the tests' modules."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# Two devices

TRAINING = """
import os, sys
import numpy as np
import tensorflow as tf
devices, rows, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
from pathlib import Path
from cohorts import lay_out_backbone, lay_out_images, numbers, trained, with_settings
from bonexray import runtime
from bonexray.train import candidates
from bonexray.train.fit import probabilities

names = [device.name for device in tf.config.list_logical_devices("CPU")]
assert len(names) == devices
runtime.gpus = lambda: names if devices > 1 else []
runtime.prepare_runtime(7, deterministic=True)
candidates.RATES = (1.0,)  # with two decays, enough to see that each begins anew on every device
os.chdir(folder)
lay_out_images(32, rows)
lay_out_backbone("mobilenet_v2")
settings = with_settings(dropout=0.0, dropout_2=0.0)
for kind, name, mode in (
    ("frozen", "mobilenet_v2", "frozen"),
    ("ordinal", "mobilenet_v2_cumulative", "frozen"),
    ("fine_tune", "mobilenet_v2", "fine_tune"),
    ("scratch", "compact_cnn", "scratch"),
):
    network, history, cohort = trained(name, mode, Path(kind), settings)
    answers = probabilities(network, cohort.features(None) if mode == "frozen" else cohort.images(None))
    history.drop(columns="phase").to_csv(f"{kind}.csv", index=False)
    np.save(f"{kind}_answers.npy", answers)
    np.save(f"{kind}.npy", np.concatenate([numbers(weight).ravel() for weight in network.trainable_weights]))
"""


def trained_on(devices: int, rows: int, folder: Path) -> Path:
    """Models trained on a number of devices and of images, half of them for training, in batches of four."""
    folder.mkdir()
    python(TRAINING, devices, rows, folder)
    return folder


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same training on one device and on two."""
    folder = tmp_path_factory.mktemp("devices")
    return trained_on(1, 30, folder / "one"), trained_on(2, 30, folder / "two")


# The compact CNN normalises over each device's share of a batch.
without_batch_statistics = pytest.mark.parametrize("mode", ["frozen", "ordinal", "fine_tune"])


@pytest.mark.slow
@without_batch_statistics
def test_two_devices_end_with_the_weights_of_one(mode: str, one_and_two: tuple[Path, Path]) -> None:
    one, two = (np.load(folder / f"{mode}.npy") for folder in one_and_two)
    difference = np.abs(one - two)
    assert np.quantile(difference, 0.999) < 1e-5
    assert difference.max() < 1e-3  # Adam makes a whole step of a gradient that is rounding alone


@pytest.mark.slow
@without_batch_statistics
def test_two_devices_write_the_history_of_one(mode: str, one_and_two: tuple[Path, Path]) -> None:
    one, two = (
        pd.read_csv(folder / f"{mode}.csv").drop(columns=["loss", "accuracy", "log_loss"]) for folder in one_and_two
    )
    assert len(one) == {"frozen": 3, "ordinal": 3, "fine_tune": 5}[mode]
    assert two.to_numpy() == pytest.approx(one.to_numpy(), rel=1e-4)  # of training, the filled rows count a little


@pytest.mark.slow
@without_batch_statistics
def test_a_model_of_two_devices_gives_the_answers_of_one(mode: str, one_and_two: tuple[Path, Path]) -> None:
    one, two = (np.load(folder / f"{mode}_answers.npy") for folder in one_and_two)
    assert one.shape == (30, 3)
    assert two == pytest.approx(one, abs=1e-4)


@pytest.mark.slow
def test_three_devices_that_no_batch_divides_by_train_every_kind_of_network(tmp_path: Path) -> None:
    folder = trained_on(3, 26, tmp_path / "three")
    for mode in ("frozen", "ordinal", "fine_tune", "scratch"):
        answers = np.load(folder / f"{mode}_answers.npy")
        assert answers.shape == (26, 3)
        assert np.isfinite(answers).all()


def test_without_several_gpus_networks_are_built_where_they_always_are() -> None:
    import tensorflow as tf

    with runtime.distribution():
        assert not tf.distribute.has_strategy()


# 16-bit numbers


@pytest.fixture
def restored_policy() -> Iterator[None]:
    """Compute in the same numbers as before when a test is over."""
    before = keras.mixed_precision.dtype_policy()
    yield
    keras.mixed_precision.set_dtype_policy(before)


def test_mixed_precision_without_a_gpu_changes_nothing(restored_policy: None) -> None:
    prepare_runtime(7, deterministic=True, mixed_precision=True)
    assert keras.mixed_precision.dtype_policy().name == "float32"


def test_mixed_precision_is_for_a_gpu_where_it_is_asked_for(
    restored_policy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "gpus", lambda: ["GPU:0"])
    prepare_runtime(7, deterministic=True)
    assert keras.mixed_precision.dtype_policy().name == "float32"
    prepare_runtime(7, deterministic=True, mixed_precision=True)
    assert keras.mixed_precision.dtype_policy().name == "mixed_float16"


def test_mixed_precision_stays_where_a_training_begins_anew(restored_policy: None) -> None:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    start_anew(7)
    assert keras.mixed_precision.dtype_policy().name == "mixed_float16"


@pytest.mark.parametrize(("name", "mode"), [("densenet121", "frozen"), ("compact_cnn", "scratch")])
def test_a_model_trained_in_16_bit_numbers_answers_with_32_bit_probabilities(
    name: str, mode: str, restored_policy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    lay_out_images(16)
    lay_out_features("densenet121")  # as faint as those of a random backbone
    network, history, cohort = trained(name, mode, tmp_path / "m", with_settings(schedule="plateau"))
    answers = probabilities(network, cohort.features(None) if mode == "frozen" else cohort.images(None))
    assert answers.dtype == np.float32
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert len(history) == 3


# Determinism and threads

THREADS = """
import json, sys
from bonexray.runtime import prepare_runtime
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled
found = []
for deterministic, mode in json.loads(sys.argv[1]):
    prepare_runtime(7, deterministic=deterministic, mode=mode)
    threading = tf.config.threading
    threads = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
    found.append([is_op_determinism_enabled(), *threads])
print(json.dumps(found))
"""
FREE, ONE = [True, 0, 0], [True, 1, 1]  # deterministic, and how many threads; 0 is as many as there are


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([(False, "full"), (False, "fine_tune"), (False, None)], [[False, 0, 0]] * 3),
        ([(True, None), (True, "frozen"), (True, "scratch"), (True, "fine_tune")], [FREE, FREE, FREE, ONE]),
        ([(True, "full")], [ONE]),
    ],
)
def test_only_a_deterministic_training_of_backbones_is_held_to_one_thread(
    calls: list[tuple[bool, str | None]], expected: list[list[object]]
) -> None:
    assert json.loads(python(THREADS, json.dumps(calls))) == expected


# Another backend

ANOTHER_BACKEND = """
import sys, os
from pathlib import Path
os.chdir(sys.argv[1])
from bonexray.runtime import prepare_runtime
prepare_runtime(7, deterministic=True, mode="frozen", mixed_precision=True)
import keras
from cohorts import lay_out_features, lay_out_images, trained, with_settings
from bonexray.train.fit import probabilities
assert keras.backend.backend() == "jax"
lay_out_images(16)
lay_out_features("densenet121")
settings = with_settings(schedule="cosine", warmup_epochs=1, loss="focal")
for name, mode in (("densenet121", "frozen"), ("compact_cnn", "scratch")):
    network, history, cohort = trained(name, mode, Path(name), settings)
    answers = probabilities(network, cohort.features(None) if mode == "frozen" else cohort.images(None))
    rates = history["learning_rate"]  # of the head also chosen, on validation
    print(name, answers.shape, len(history), (rates / rates.max()).round(3).tolist())
"""


def test_a_model_is_trained_with_jax(tmp_path: Path) -> None:
    found = python(ANOTHER_BACKEND, tmp_path, KERAS_BACKEND="jax").splitlines()
    expected = "(30, 3) 3 [1.0, 0.5, 0.0]"
    assert found == [f"densenet121 {expected}", f"compact_cnn {expected}"]


EVERY_MODE = """
import sys, os
from pathlib import Path
os.chdir(sys.argv[1])
name = sys.argv[2]
from bonexray.runtime import prepare_runtime
prepare_runtime(7, deterministic=True)
import keras
import numpy as np
from cohorts import lay_out_backbone, lay_out_images, numbers, trained, with_settings
from bonexray.backbones.encoder import build_backbone
from bonexray.backbones.weights import load_starting_weights
from bonexray.networks.trainable import backbone_of
from bonexray.train.fit import probabilities
assert keras.backend.backend() == "jax"
lay_out_images(32)
lay_out_backbone(name)
for mode in ("frozen", "fine_tune", "full"):
    network, history, cohort = trained(name, mode, Path(mode), with_settings(epochs=2), epochs=1)
    answers = probabilities(network, cohort.features(None) if mode == "frozen" else cohort.images(None))
    assert np.isfinite(history[["loss", "val_log_loss"]].to_numpy()).all()
    assert np.abs(answers.sum(axis=1) - 1).max() < 1e-4
    changed, kept = 0.0, history["phase"].iloc[int(history["val_log_loss"].argmin())]
    if mode != "frozen":
        start, body = build_backbone(name, 32), backbone_of(network, name)
        load_starting_weights(start, name)
        kernels = [(a, b) for a, b in zip(start.weights, body.weights, strict=True) if a.name.endswith("kernel")]
        changed = sum(not np.array_equal(numbers(a), numbers(b)) for a, b in kernels) / len(kernels)
    part = "no" if changed == 0 else "every" if changed == 1 else "some"
    if mode == "fine_tune" and kept != history["phase"].iloc[-1]:  # the head alone was better
        assert part == "no"
        part = "some"
    print(mode, answers.shape, len(history), part)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "deit_tiny"])
def test_every_mode_trains_with_jax_the_layers_that_it_should(name: str, tmp_path: Path) -> None:
    found = python(EVERY_MODE, tmp_path, name, KERAS_BACKEND="jax").splitlines()
    assert found == ["frozen (30, 3) 2 no", "fine_tune (30, 3) 3 some", "full (30, 3) 2 every"]  # epochs and kernels
