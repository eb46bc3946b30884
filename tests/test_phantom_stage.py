"""The files of the simulated cohort: the same bytes in every run, with the truth beside the images."""

import hashlib
import runpy
from pathlib import Path

import pandas as pd
import pytest

from bonexray.compute import Compute
from bonexray.phantom.settings import Phantom

STAGE = runpy.run_path(str(Path(__file__).parents[1] / "stages/phantom.py"))
COHORT = Path("data/phantom")


def simulated(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: object) -> dict[str, str]:
    """Run the stage in a folder, and return the hash of every file by its path."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    options = Phantom.model_validate({"patients": 8, "img_px": 32, **changes})
    STAGE["main"](STAGE["Settings"](phantom=options, compute=Compute()), "cohort")
    files = (path for path in (folder / COHORT).rglob("*") if path.is_file())
    return {
        path.relative_to(folder / COHORT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.mark.parametrize("changes", [{}, {"site": "b", "label_noise": 0.5}], ids=["default", "site b, label noise"])
def test_every_run_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    one, other = (simulated(tmp_path / name, monkeypatch, **changes) for name in ("one", "other"))
    assert one == other and len(one) > 16


def test_the_folder_is_the_stated_label_and_the_table_has_the_true_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {}
    for name, noise in (("right", 0.0), ("wrong", 1.0)):
        files = simulated(tmp_path / name, monkeypatch, label_noise=noise)
        truth = tables[name] = pd.read_csv(tmp_path / name / COHORT / "truth.csv")
        assert {f"noisy/{path}" for path in truth["path"]} < set(files)
        assert {f"clean/{path}" for path in truth["path"]} < set(files)
        assert [path.split("/")[0] for path in truth["path"]] == list(truth["label"])
        assert (truth["label"] == truth["true_label"]).all() == (noise == 0)
    unchanged = ["patient", "true_label", "t_score", "volume_fraction", "cortical_mm"]
    pd.testing.assert_frame_equal(tables["right"][unchanged], tables["wrong"][unchanged])
