"""Test that the same training in two processes gives the same bytes.

All networks take twenty minutes. Unless BONEXRAY_EVERY_NETWORK=1 is set in the environment, each kind of operation is
trained once: plain, separable and depthwise convolutions, pooling, batch and layer normalisation, attention.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bonexray.registry import REGISTRY

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parent
BACKBONE = "mobilenet_v2"
SCRATCH = [name for name, row in REGISTRY.items() if not row.backbones]
OTHERS = [name for name, row in REGISTRY.items() if row.backbones and name != BACKBONE]
SINGLE = [name for name in OTHERS if len(REGISTRY[name].backbones) == 1]
EVERY = os.environ.get("BONEXRAY_EVERY_NETWORK") == "1"
WHOLE = {"scratch": SCRATCH, "fine_tune": [BACKBONE], "full": [BACKBONE]}  # trained end to end
STEPS = {  # trained for two batches
    "scratch": [],
    "fine_tune": OTHERS if EVERY else ["vgg16_vgg19", "inception_v3", "xception", "resnet18", "convnext_tiny"],
    "full": SINGLE if EVERY else ["vgg16", "vit_tiny"],
}
TRAINING = """
import hashlib, json, shutil, sys
from pathlib import Path
mode, whole, steps = json.loads(sys.argv[1])
from bonexray.runtime import prepare_runtime
prepare_runtime(7, deterministic=True, mode=mode)
import keras
from cohorts import SETTINGS, cohort_of, lay_out_backbone, lay_out_images, numbers, trained, with_settings
from bonexray.networks.trainable import build_trainable
from bonexray.registry import model_row
from bonexray.train.keras_batches import KerasBatches
from bonexray.train.objective import loss_of, optimizer_of

def side_of(name):
    row = model_row(name)
    return -(-max(row.smallest_px, 16) // row.multiple_of) * row.multiple_of

def hash_of(*parts):
    return hashlib.sha256(b"".join(parts)).hexdigest()

def end_to_end(name):
    lay_out_images(side_of(name), 16)
    for backbone in model_row(name).backbones:
        lay_out_backbone(backbone)
    _, history, _ = trained(name, mode, Path(name), with_settings(epochs=1 if mode == "scratch" else 2))
    return hash_of(Path(name, "model.weights.h5").read_bytes(), history.to_csv().encode())

def two_batches(name):
    lay_out_images(side_of(name), 16)
    keras.utils.set_random_seed(7)
    network = build_trainable(name, mode, side_of(name), 3, SETTINGS)
    network.compile(optimizer_of(SETTINGS, 1e-3, 2, 1), loss_of(SETTINGS))
    before = hash_of(*(numbers(weight).tobytes() for weight in network.weights))
    network.fit(KerasBatches(cohort_of(name, mode).images("train", learning=True)), shuffle=False, verbose=0)
    after = hash_of(*(numbers(weight).tobytes() for weight in network.weights))
    assert before != after
    return after

hashes = {}
for names, training in ((whole, end_to_end), (steps, two_batches)):
    for name in names:
        keras.backend.clear_session()
        hashes[name] = training(name)
print(json.dumps(hashes))
"""


@pytest.fixture(scope="module")
def hashes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """By mode and process, the hash of each model's weights and history."""
    return {mode: run_twice(mode, tmp_path_factory.mktemp(mode)) for mode in WHOLE}


def run_twice(mode: str, folder: Path) -> list[dict[str, str]]:
    """Train in two processes at once, whose sets are in different orders."""
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    runs = []
    for run in ("1", "2"):
        (folder / run).mkdir()
        command = [sys.executable, "-c", TRAINING, json.dumps([mode, WHOLE[mode], STEPS[mode]])]
        env = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": run, "TF_CPP_MIN_LOG_LEVEL": "3"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        runs.append(subprocess.Popen(command, cwd=folder / run, env=env, **pipes))
    outputs = [process.communicate(timeout=3600) for process in runs]
    for process, (_, errors) in zip(runs, outputs, strict=True):
        assert process.returncode == 0, errors[-2000:]
    return [json.loads(output) for output, _ in outputs]


def of_every_mode(names: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(mode, name) for mode in names for name in names[mode]]


@pytest.mark.parametrize(("mode", "name"), of_every_mode(WHOLE))
def test_training_end_to_end_in_two_processes_writes_the_same_bytes(
    mode: str, name: str, hashes: dict[str, list[dict[str, str]]]
) -> None:
    first, second = hashes[mode]
    assert first[name] == second[name]


@pytest.mark.parametrize(("mode", "name"), of_every_mode(STEPS))
def test_training_on_two_batches_in_two_processes_gives_the_same_weights(
    mode: str, name: str, hashes: dict[str, list[dict[str, str]]]
) -> None:
    first, second = hashes[mode]
    assert first[name] == second[name]
