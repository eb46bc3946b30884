"""`bonexray predict`: files and folders in, a table out; what cannot be read is named, and the exit code says so."""

import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from joblib import Parallel, delayed
from PIL import Image
from trained_study import FROZEN, SCRATCH
from typer.testing import CliRunner, Result
from xrays import SECRET_ID, SECRET_NAME, dicom_file

from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.data.predictions import read_predictions
from bonexray.serving.files import image_files, overlay
from bonexray.serving.prefetch import ahead, in_batches, workers

PROBABILITIES = ["prob_osteoporosis", "prob_normal"]


@pytest.fixture(autouse=True)
def here(trained_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in the study's folder."""
    monkeypatch.chdir(trained_study)


@pytest.fixture
def xrays(trained_study: Path, tmp_path: Path) -> Path:
    """A folder of three good files, one of them DICOM, and a hidden one."""
    folder = tmp_path / "x-rays"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(trained_study / "data/raw/normal/0.png", folder / "a.png")
    shutil.copy(trained_study / "data/raw/osteoporosis/1.png", folder / "deep" / "a.png")
    levels = np.random.default_rng(7).integers(0, 4096, (40, 30), np.uint16)
    (folder / "no ending").write_bytes(dicom_file(levels, BitsStored=12))
    (folder / ".hidden").write_text("no X-ray")
    return folder


def bonexray(*arguments: object) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def table_of(printed: Result) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(printed.stdout))


def test_a_folder_is_answered_by_the_chosen_model_as_the_study_did(xrays: Path) -> None:
    done = bonexray("predict", xrays)
    assert done.exit_code == 0, done.output
    table = table_of(done)
    assert list(table.columns) == ["path", "predicted", *PROBABILITIES]
    assert list(table["path"]) == [str(xrays / name) for name in ("a.png", "deep/a.png", "no ending")]
    rows, recorded = read_predictions(Path("models", FROZEN, "predictions.csv"), ["osteoporosis", "normal"])
    for place, path in enumerate(("normal/0.png", "osteoporosis/1.png")):
        expected = recorded[list(rows["path"]).index(path)]
        np.testing.assert_allclose(table.loc[place, PROBABILITIES].to_numpy(float), expected, atol=1e-5)
    assert f"3 of 3 X-rays with {FROZEN}" in done.stderr and "predicting" in done.stderr


def test_bad_files_are_named_and_skipped(xrays: Path, tmp_path: Path) -> None:
    (xrays / "notes.txt").write_text("no X-ray")
    (xrays / "empty.png").write_bytes(b"")
    done = bonexray("predict", xrays, "--model", SCRATCH, "--out", tmp_path / "results.csv")
    assert done.exit_code == 1 and done.stdout == ""
    assert len(pd.read_csv(tmp_path / "results.csv")) == 3
    named = [line for line in done.stderr.splitlines() if line.startswith("skipped")]
    assert [("empty.png" in line, "notes.txt" in line) for line in named] == [(True, False), (False, True)]
    assert "empty file" in named[0] and f"3 of 5 X-rays with {SCRATCH}" in done.stderr


def test_nothing_that_could_be_read_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no X-ray")
    assert bonexray("predict", tmp_path / "notes.txt", "--model", SCRATCH).exit_code == 2


def test_nothing_of_what_a_file_says_about_its_patient_is_written(xrays: Path, tmp_path: Path) -> None:
    (xrays / "cut.dcm").write_bytes((xrays / "no ending").read_bytes()[:-100])
    done = bonexray(
        "predict", xrays, "--model", SCRATCH, "--out", tmp_path / "results.csv", "--heatmap", tmp_path / "heat"
    )
    assert done.exit_code == 1
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and xrays not in path.parents]
    assert not any(
        secret.encode() in content
        for secret in (SECRET_ID, SECRET_NAME)
        for content in [*written, done.output.encode()]
    )


@pytest.mark.parametrize("name", [FROZEN, SCRATCH])
def test_heat_maps_lie_in_a_folder_and_stand_in_the_table(xrays: Path, tmp_path: Path, name: str) -> None:
    done = bonexray("predict", xrays, "--model", name, "--heatmap", tmp_path / "heat")
    table = table_of(done)
    assert sorted(table["heatmap"]) == sorted(map(str, (tmp_path / "heat").iterdir()))
    assert {Path(file).name for file in table["heatmap"]} == {"a.png", "a-2.png", "no ending.png"}
    with Image.open(table["heatmap"][0]) as image:
        assert image.size == (768, 384)
        gray = np.asarray(image)[:, :384]
    assert (gray[..., 0] == gray[..., 2]).all()


def test_a_bundle_answers_in_another_process_and_folder(xrays: Path, tmp_path: Path) -> None:
    made = bonexray("bundle", "--model", SCRATCH, "--out", tmp_path / "bundle")
    assert made.exit_code == 0 and "digest" in made.stdout
    expected = table_of(bonexray("predict", xrays, "--model", SCRATCH))
    command = [
        sys.executable,
        "-c",
        "from bonexray.cli import main; main()",
        "predict",
        str(xrays),
        "--model",
        "bundle",
    ]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    found = pd.read_csv(io.StringIO(done.stdout))
    np.testing.assert_allclose(found[PROBABILITIES], expected[PROBABILITIES], atol=1e-5)
    (tmp_path / "bundle/extra.txt").write_text("x")
    refused = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert "extra.txt: expected" in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nowhere",), "nowhere"),
        (("data/raw", "--model", "vgg16"), "vgg16"),
        (("metrics/empty",), "X-ray files"),
    ],
)
def test_what_is_not_there_is_one_line(arguments: tuple[str, ...], named: str) -> None:
    Path("metrics/empty").mkdir(exist_ok=True)
    done = bonexray("predict", *arguments)
    assert isinstance(done.exception, BonexrayError) and named in str(done.exception)


def test_a_failure_leaves_no_half_table(xrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bonexray.serving.predictor import Predictor

    def failing(self: Predictor, images: np.ndarray) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(Predictor, "probabilities", failing)
    done = bonexray("predict", xrays / "a.png", "--model", SCRATCH, "--out", tmp_path / "results.csv")
    assert done.exit_code != 0 and not (tmp_path / "results.csv").exists()


# The parts


def test_files_are_sorted_visible_and_named_once(xrays: Path) -> None:
    found = image_files([xrays / "deep", xrays, xrays / "a.png", xrays / ".hidden"])
    assert found == [xrays / name for name in ("deep/a.png", "a.png", "no ending", ".hidden")]


def test_a_heat_map_without_a_place_colours_nothing() -> None:
    image = np.random.default_rng(7).random((8, 8))
    for heat in (np.zeros((8, 8)), np.ones((8, 8))):
        left, right = np.split(np.asarray(overlay(image, heat)), 2, axis=1)
        np.testing.assert_array_equal(left, right)
    left, right = np.split(np.asarray(overlay(image, image)), 2, axis=1)
    assert (left != right).any()


@pytest.mark.parametrize("processes", [False, True])
def test_work_is_done_ahead_in_order_and_not_too_far(processes: bool) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield -number

    with workers(processes=processes) as pool:
        found = ahead(abs, items(), pool, 4)
        assert next(found) == 0 and len(taken) == 4
        assert list(found) == list(range(1, 20))


def test_processes_that_read_ahead_leave_those_of_other_stages_alone() -> None:
    with workers(processes=True) as pool:
        assert pool.submit(abs, -1).result() == 1
    assert Parallel(n_jobs=2)(delayed(abs)(number) for number in (-1, -2)) == [1, 2]


def test_work_that_nobody_waits_for_is_not_begun() -> None:
    done, gate = [], threading.Event()

    def slow(number: int) -> int:
        if number:
            gate.wait(10)
        done.append(number)
        return number

    with workers(processes=False) as pool:
        found = ahead(slow, range(100), pool, 50)
        next(found)
        found.close()
        gate.set()
    assert len(done) < 50


def test_batches_hold_everything_once() -> None:
    assert [list(batch) for batch in in_batches(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert list(in_batches([], 2)) == []
