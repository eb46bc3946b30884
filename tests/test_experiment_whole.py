"""A whole study from Python against the pipeline, and the example notebook."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_experiment import TINY

from bonexray import XRayClassifier

ROOT = Path(__file__).parents[1]
GRID = "reports/benchmark_results.csv"  # of `bonexray grid`: the report reads it, no stage writes it
NOTEBOOK = json.loads((ROOT / "notebooks/example.ipynb").read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study"


@pytest.mark.slow
def test_an_experiment_gives_the_bytes_of_the_pipeline(folder, tmp_path):
    found = XRayClassifier(TINY, folder).run_experiment(verbose=False)
    assert set(found.scores) >= {"compact_cnn", "mobilenet_v2", "ensemble_mean"}
    pipeline = tmp_path / "pipeline"
    for name in ("src", "stages", "conf"):
        shutil.copytree(ROOT / name, pipeline / name)
    shutil.copy(folder / "params.yaml", pipeline)
    (pipeline / "reports").mkdir()
    for name in ("dvc.yaml", "requirements.txt", GRID):
        shutil.copy(ROOT / name, pipeline / name)
    env = {
        key: value for key, value in os.environ.items() if key not in ("DVC_ROOT", "PYTHONPATH", "MLFLOW_TRACKING_URI")
    }
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    for command in (("dvc", "init", "-q", "--no-scm"), ("dvc", "repro", "-q")):
        done = subprocess.run(command, cwd=pipeline, env=env, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-2000:]
    one, other = hashes(folder), hashes(pipeline)
    assert len(one) > 60 and one == other
    assert (folder / "mlflow.db").is_file()


def hashes(root: Path) -> dict[str, str]:
    """Every output but the page, which shows the grid, by its path."""
    files = (path for name in ("data", "weights", "models", "metrics", "reports") for path in (root / name).rglob("*"))
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file() and path.name not in ("report.html", ".gitignore", Path(GRID).name)
    }


def test_the_notebook_is_committed_without_outputs_and_compiles():
    code = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 5 and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    for cell in code:
        compile("".join(cell["source"]), "notebook", "exec")


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    notebook = nbformat.reads(json.dumps(NOTEBOOK), as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [str(output.get("data", {})) for output in outputs]
    assert not [output for output in outputs if output.output_type == "stream"]
    assert any("text/markdown" in text and "Compact CNN" in text for text in shown)
    assert any("image/png" in text for text in shown)
    assert "bm3d" in shown[-1]
