"""One training over several machines, each a process here, against the same training in one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bonexray.runtime import Machine, this_machine
from bonexray.train.batches import Batches
from bonexray.train.machines import Share
from bonexray.train.replicas import EvenBatches

TRAINING = """
import sys
import keras, numpy as np
from pathlib import Path
from bonexray.study import load_settings
from bonexray.train.batches import Batches
from bonexray.train.fit import Phase, fit
from bonexray.runtime import prepare_runtime

root, folder = Path(sys.argv[1]), Path(sys.argv[2])
settings = load_settings(root / "params.yaml").train.model_copy(update={"batch_images": 8})
prepare_runtime(7, deterministic=True, mode="scratch")
rng = np.random.default_rng(0)
pixels, labels = rng.random((53, 12, 12, 1), dtype=np.float32), rng.integers(0, 3, 53)
targets = np.eye(3, dtype=np.float32)[labels]
image = keras.Input((12, 12, 1))
maps = keras.layers.Conv2D(4, 3, activation="relu")(image)
norm = keras.layers.BatchNormalization(trainable=False)
pooled = keras.layers.GlobalAveragePooling2D()(norm(maps))
network = keras.Model(image, keras.layers.Dense(3, activation="softmax")(pooled))
read = [lambda rows, _epoch: pixels[rows]]
train, val = Batches(read, targets, np.arange(43), 8, 7), Batches(read, targets, np.arange(43, 53), 8)
weights = {0: 0.5, 1: 1.0, 2: 2.0}
phase = Phase("network", 3, 1e-2)
history = fit(network, train, val, weights, settings, phase, folder / "best.weights.h5", lambda *_: None)
history.to_csv(folder / "history.csv")
np.save(folder / "weights.npy", np.concatenate([weight.ravel() for weight in network.get_weights()]))
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def start(folder: Path, cluster: dict | None) -> subprocess.Popen:
    folder.mkdir()
    env = {**os.environ, "TF_CONFIG": json.dumps(cluster)} if cluster else dict(os.environ)
    command = [sys.executable, "-c", TRAINING, str(Path(__file__).parents[1]), str(folder)]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def test_two_machines_end_where_one_ends_with_the_same_batch(tmp_path: Path) -> None:
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    clusters = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}} for rank in (0, 1)]
    names = ["one", "first", "second"]
    processes = [start(tmp_path / name, c) for name, c in zip(names, [None, *clusters], strict=True)]
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-2000:]
    one, first, second = (np.load(tmp_path / name / "weights.npy") for name in names)
    assert np.array_equal(first, second)
    assert np.abs(one - first).max() < 1e-5
    histories = [(tmp_path / name / "history.csv").read_text() for name in ("first", "second")]
    assert histories[0] == histories[1]


def batches_of(rows: int, batch_images: int) -> Batches:
    targets = np.eye(3, dtype=np.float32)[np.arange(rows) % 3]
    return Batches([lambda chosen, _epoch: chosen[:, None].astype(np.float32)], targets, np.arange(rows), batch_images)


@pytest.mark.parametrize("rows", [1, 5, 8, 13])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("devices", [1, 2])
def test_the_mean_of_the_shares_is_the_mean_of_the_batch(rows: int, count: int, devices: int) -> None:
    whole, weights = batches_of(rows, 8), {0: 0.5, 1: 1.0, 2: 2.0}
    shares = [Share(batches_of(rows, 8), Machine(rank, count), weights) for rank in range(count)]
    if devices > 1:
        shares = [EvenBatches(share, devices, learning=True) for share in shares]
    for number in range(len(whole)):
        inputs, targets = whole[number]
        expected = np.mean([weights[label] for label in targets.argmax(axis=1)] * inputs[:, 0])
        means = [np.mean(share[number][0][:, 0] * share[number][2]) for share in shares]
        assert np.mean(means) == pytest.approx(expected)


def test_a_machine_without_a_row_of_its_own_takes_part_without_weight() -> None:
    inputs, targets, weights = Share(batches_of(1, 8), Machine(1, 2), None)[0]
    assert (len(inputs), len(targets), list(weights)) == (1, 1, [0.0])


def test_tensorflows_cluster_says_which_machine_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert this_machine() == Machine(0, 1)
    cluster = {"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"type": "worker", "index": 2}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert this_machine() == Machine(2, 3)
