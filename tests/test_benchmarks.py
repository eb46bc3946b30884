"""The benchmarks run as the README says; how fast they are is for whoever runs them in full."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "frozen": ["mobilenet_v2", "--images", "16", "--px", "32", "--epochs", "2"],
    "memory": ["--images", "20", "40", "--px", "80"],
}


def printed(name: str) -> str:
    """What a benchmark prints in its smallest form."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *SMALL[name]]
    done = subprocess.run(command, cwd=BENCHMARKS.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_benchmark_is_tried() -> None:
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == set(SMALL)


def test_cached_features_give_the_head_that_training_behind_the_backbone_gives() -> None:
    found = printed("frozen")
    assert float(re.search(r"ratio: ([\d.]+)", found)[1]) > 0
    assert float(re.search(r"difference of the two heads' probabilities: (\S+)", found)[1]) < 1e-4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's own account of memory")
def test_memory_is_measured_for_each_stage_on_both_cohorts() -> None:
    lines = printed("memory").splitlines()
    assert [line.split()[0] for line in lines] == ["features@mobilenet_v2", "train@mobilenet_v2", "train@compact_cnn"]
    assert all(re.search(r"20 images: \d+ MB  40 images: \d+ MB  difference: -?\d+ MB", line) for line in lines)
