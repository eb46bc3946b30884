"""The real DVC pipeline, end to end, on a tiny cohort in a repository of its own."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bonexray.registry import BASELINES
from bonexray.train.regression import STRENGTHS

ROOT = Path(__file__).parents[1]
TINY = {
    "phantom.patients": 24,
    "phantom.other_site_patients": 24,
    "phantom.img_px": 32,
    "prepare.img_px": 32,
    "train.epochs": 2,
    "evaluate.resamples": 200,
}
TINY_STUDY = [f"-S{key}={value}" for key, value in TINY.items()]
ENSEMBLES = {f"ensemble_{kind}" for kind in ("mean", "weighted", "majority", "stacking")}
BOTH = "model=[compact_cnn,mobilenet_v2]"
GRID = "reports/benchmark_results.csv"
LIST_RUNS = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///mlflow.db")
(experiment,) = [e.experiment_id for e in client.search_experiments() if e.name == "bonexray"]
found = client.search_runs([experiment], f"tags.stage = '{sys.argv[1]}' and attributes.status = 'FINISHED'")
print(json.dumps([{
    "model": run.data.tags.get("model"), "params": run.data.params, "metrics": run.data.metrics,
    "epochs": len(client.get_metric_history(run.info.run_id, "val_loss")),
    "figures": [item.path for item in client.list_artifacts(run.info.run_id, "evaluation")],
} for run in found]))
"""
pytestmark = pytest.mark.pipeline


class Workspace:
    """A repository with the project's files and nothing else; commands run in it as a user types them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        dropped = ("MLFLOW_TRACKING_URI", "DVC_ROOT", "PYTHONPATH")
        return {key: value for key, value in os.environ.items() if key not in dropped} | {"PATH": path}

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == code, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    def queue_status(self) -> str:
        """Return what `dvc queue status` prints, which now and then fails on a file of the queue that is being written."""
        for _ in range(9):
            with contextlib.suppress(AssertionError):
                return self.run("dvc", "queue", "status")
            time.sleep(1)
        return self.run("dvc", "queue", "status")

    def start(self, *command: str) -> None:
        """Run a command that leaves processes behind; what they print is not waited for."""
        subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )

    def study(self, *overrides: str, flags: tuple[str, ...] = ()) -> str:
        return self.run("dvc", "exp", "run", *flags, *TINY_STUDY, *(f"-S{text}" for text in overrides))

    def restore(self) -> None:
        """Return to the committed study without running a stage."""
        self.run("git", "checkout", "-q", "-f", "HEAD")
        self.run("git", "clean", "-fdq", "metrics", "reports")
        self.run("dvc", "checkout", "-q", "--force")

    def metrics(self, name: str) -> dict:
        return json.loads((self.root / "metrics" / name).read_text())

    def bytes_of(self, *patterns: str) -> dict[str, str]:
        files = (file for pattern in patterns for file in self.root.glob(pattern) if file.is_file())
        return {str(f.relative_to(self.root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def results(self) -> dict[str, str]:
        return self.bytes_of("dvc.lock", "metrics/**/*", "data/**/*", "models/**/*", "weights/*", "reports/**/*")

    def trainings(self) -> int:
        return len(list(self.root.glob("logs/train@*/*.log")))

    def runs(self, stage: str = "train") -> list[dict]:
        """The store's finished runs, asked by a process of its own: an open store outlives its deleted file."""
        return json.loads(self.run("python", "-c", LIST_RUNS, stage).splitlines()[-1])

    def kill_when(self, *command: str, appears: str) -> None:
        """Run a command and kill it with all its children as soon as a file appears."""
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 300
        while not any(self.root.glob(appears)):
            assert process.poll() is None and time.monotonic() < deadline, f"{appears} never appeared"
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    root = tmp_path_factory.mktemp("study")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        output = name.startswith(("metrics/", "reports/")) and name != GRID
        if (ROOT / name).is_file() and not output and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    place = Workspace(root)
    place.run("git", "init", "-q", "-b", "main")
    place.run("git", "config", "user.email", "tests@example.org")
    place.run("git", "config", "user.name", "tests")
    place.run("git", "add", "-A")
    place.run("git", "commit", "-qm", "the project")
    place.study(BOTH)
    place.run("git", "add", "-A")
    place.run("git", "commit", "-qm", "a study of two")
    return place


def test_the_study_has_its_files_and_its_table(workspace):
    assert set(workspace.metrics("models.json")) == {"compact_cnn", "mobilenet_v2", *BASELINES}
    assert set(workspace.metrics("ensembles.json")) == ENSEMBLES
    assert workspace.metrics("data.json")["images"] >= 24
    assert workspace.metrics("headline.json")["model"] in {"compact_cnn", "mobilenet_v2"}
    chosen, copied = (
        {Path(path).name: content for path, content in workspace.bytes_of(f"models/{name}/*").items()}
        for name in (workspace.metrics("headline.json")["model"], "chosen")
    )
    assert chosen == copied != {}
    for name in ("comparison", "evaluation_grid", "confusion_grid", "learning_curves", "pairs", "cost"):
        assert (workspace.root / f"reports/comparison/models_{name}.png").stat().st_size > 5000
    for name in ("xception_no", "compact_cnn"):
        exists = (workspace.root / f"reports/models/{name}/{name}_confusion_matrix.png").exists()
        assert exists == (name == "compact_cnn")
        assert (workspace.root / f"reports/explained/{name}/{name}_gradcam.png").exists() == exists
    external = workspace.metrics("external/other_site.json")
    assert set(external["models"]) == set(workspace.metrics("models.json")) and external["images"] >= 24
    report = (workspace.root / "reports/report.html").read_text()
    assert "External cohorts" in report
    assert "<h1" in report and "Compact CNN" in report and "Ensemble (stacking)" in report
    assert "test images" in (workspace.root / "reports/summary.md").read_text()
    assert "# Compact CNN" in (workspace.root / "reports/cards/compact_cnn.md").read_text()
    table = workspace.run("bonexray", "table")
    assert "Compact CNN" in table and "always the majority class" in table
    assert "no problems" in workspace.run("bonexray", "check")


def test_dvc_shows_metrics_and_plots(workspace):
    assert "balanced_accuracy" in workspace.run("dvc", "metrics", "show")
    workspace.run("dvc", "plots", "show", "-o", "dvc_plots")
    page = (workspace.root / "dvc_plots/index.html").read_text()
    assert "val_log_loss" in page and "Test images by actual and predicted class" in page
    assert "ROC curve on test" in page and "Accuracy by confidence" in page


def test_a_second_repro_runs_no_stage(workspace):
    assert "up to date" in workspace.run("dvc", "repro")


@pytest.mark.slow
def test_killed_runs_go_on_and_give_the_bytes_of_an_undisturbed_one(workspace):
    changed = ("dvc", "exp", "run", *TINY_STUDY, f"-S{BOTH}", "-Sdenoise.sigma=0.07")
    workspace.kill_when(*changed, appears="data/denoised.partial/*.png")
    assert not list(workspace.root.glob("data/denoised/*"))
    workspace.kill_when("dvc", "repro", appears="models/compact_cnn.partial/*.h5")
    assert not list(workspace.root.glob("models/compact_cnn/*"))
    workspace.run("dvc", "repro")
    disturbed = workspace.results()
    workspace.run("dvc", "repro", "--force")
    assert workspace.results() == disturbed
    assert len(disturbed) > 60
    workspace.restore()


@pytest.mark.slow
def test_a_study_of_one_trains_nothing_new_and_stands_alone(workspace):
    trained = workspace.trainings()
    workspace.study("model=mobilenet_v2")
    assert workspace.trainings() == trained
    assert set(workspace.metrics("models.json")) == {"mobilenet_v2", *BASELINES}
    changed = workspace.run("dvc", "metrics", "diff", "HEAD")
    assert "models.compact_cnn.roc_auc" in changed and "models.mobilenet_v2." not in changed
    workspace.study(BOTH)
    assert workspace.trainings() == trained
    assert set(workspace.metrics("models.json")) == {"compact_cnn", "mobilenet_v2", *BASELINES}


@pytest.mark.slow
def test_another_mode_trains_what_it_changes_and_the_way_back_trains_nothing(workspace):
    trained = workspace.trainings()
    workspace.study(BOTH, "mode=fine_tune", "fine_tune.epochs=1")
    assert workspace.trainings() == trained + 1  # the network from scratch has no mode
    card = json.loads((workspace.root / "models/mobilenet_v2/model.json").read_text())
    assert (card["mode"], card["fine_tune"]["epochs"]) == ("fine_tune", 1)
    phases = [line.split(",")[1] for line in (workspace.root / "models/mobilenet_v2/history.csv").open()]
    assert phases == ["phase", *["penalty"] * len(STRENGTHS), "network"]
    workspace.study(BOTH)
    assert workspace.trainings() == trained + 1


@pytest.mark.slow
def test_a_study_in_folds_and_repeats_tests_every_image_once_and_ranks_its_models(workspace):
    models = "model=[mobilenet_v2,efficientnet_lite0,efficientnet_lite0_random]"
    workspace.study(models, "split.folds=3", "train.repeats=2", "train.epochs=1")
    images = workspace.metrics("data.json")["images"]
    scores = workspace.metrics("models.json")["efficientnet_lite0"]
    assert (scores["n"], scores["repeats"]) == (images, 2) and "balanced_accuracy_sd" in scores
    rows = (workspace.root / "models/efficientnet_lite0/predictions.csv").read_text().splitlines()
    assert len(rows) == 1 + 6 * images
    folder = workspace.root / "models/efficientnet_lite0"
    kept = sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*.h5"))
    others = [f"repeat-{r}-fold-{f}/model.weights.h5" for r in (1, 2) for f in (1, 2, 3)][1:]
    assert kept == sorted(["model.weights.h5", *others])
    assert workspace.metrics("ranks.json")["blocks"] == 3
    assert (workspace.root / "reports/comparison/models_critical_difference.png").exists()
    assert "Friedman" in (workspace.root / "reports/report.html").read_text()
    tested = [run for run in workspace.runs() if run["model"] == "efficientnet_lite0"]
    assert len(tested) >= 6
    workspace.restore()


@pytest.mark.slow
def test_augmented_copies_are_encoded_and_drawn(workspace):
    workspace.study("model=mobilenet_v2", "features.copies=2")
    card = json.loads((workspace.root / "data/features/mobilenet_v2/features.json").read_text())
    assert card["copies"] == 2
    assert (workspace.root / "data/features/mobilenet_v2/views.npy").exists()
    workspace.study(BOTH)
    assert not (workspace.root / "data/features/mobilenet_v2/views.npy").exists()


@pytest.mark.slow
def test_a_study_of_the_baselines_alone_chooses_one_of_them(workspace):
    workspace.study("model=texture")
    assert set(workspace.metrics("models.json")) == set(BASELINES)
    assert workspace.metrics("headline.json")["model"] in BASELINES and workspace.metrics("ensembles.json") == {}
    assert "The study has no network" in (workspace.root / "reports/summary.md").read_text()
    workspace.restore()


def test_every_run_comes_back_from_the_files(workspace):
    workspace.run("bonexray", "sync")
    (workspace.root / "mlflow.db").unlink()
    assert "4 trainings, 4 evaluations, 4 ensembles, 1 studies" in workspace.run("bonexray", "sync")
    assert "0 trainings, 0 evaluations, 0 ensembles, 0 studies" in workspace.run("bonexray", "sync")
    (run,) = [run for run in workspace.runs() if run["model"] == "mobilenet_v2"]
    assert run["params"]["train.epochs"] == "2" and run["epochs"] == len(STRENGTHS)
    assert {"val_loss", "test/balanced_accuracy", "test/temperature"} <= set(run["metrics"])
    (study,) = workspace.runs("aggregate")
    assert {"balanced_accuracy/mobilenet_v2", "balanced_accuracy/ensemble_mean"} <= set(study["metrics"])
    assert "evaluation/mobilenet_v2_confusion_matrix.png" in run["figures"]


@pytest.mark.slow
def test_queued_experiments_share_one_new_store(workspace):
    (workspace.root / "mlflow.db").unlink()
    workspace.study("model=mobilenet_v2", "denoise.method=none,median", flags=("--queue",))
    workspace.start("dvc", "queue", "start", "-j", "2")
    deadline = time.monotonic() + 900
    while re.search(r"Queued|Running", status := workspace.queue_status()):
        assert time.monotonic() < deadline, status
        time.sleep(2)
    assert status.count("Success") == 2, status
    runs = [run for run in workspace.runs() if run["model"] == "mobilenet_v2"]
    assert sorted(run["params"]["denoise.method"] for run in runs) == ["median", "none"]
    assert not list(workspace.root.glob(".dvc/tmp/exps/*/mlflow.db"))
    assert "3 filters" in workspace.run("bonexray", "grid")
    grid = (workspace.root / GRID).read_text().splitlines()
    assert grid[0].startswith("Model,Filter,Accuracy,Precision,Recall,F1-Score,Scored on")
    assert {tuple(line.split(",")[:2]) for line in grid[1:]} >= {
        ("mobilenet_v2", f) for f in ("bm3d", "none", "median")
    }
    workspace.run("dvc", "repro")
    page = (workspace.root / "reports/report.html").read_text()
    assert "validation images: mean balanced accuracy over 1 network trained with every filter" in page
    assert "On test, which took no part in this choice" in page


@pytest.mark.slow
def test_a_temporary_experiment_leaves_the_workspace_alone(workspace):
    before = workspace.bytes_of("metrics/*", "params.yaml")
    shown = workspace.study("model=compact_cnn", flags=("--temp", "--name", "alone"))
    assert "alone" in shown
    assert workspace.bytes_of("metrics/*", "params.yaml") == before
    models = json.loads(
        workspace.run("git", "show", "refs/exps/" + _exp_ref(workspace, "alone") + ":metrics/models.json")
    )
    assert set(models) == {"compact_cnn", *BASELINES}


def _exp_ref(workspace: Workspace, name: str) -> str:
    refs = workspace.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return next(ref.removeprefix("refs/exps/") for ref in refs if ref.endswith(f"/{name}"))


@pytest.mark.slow
def test_what_one_machine_trained_another_takes_from_the_remote(workspace: Workspace, tmp_path: Path) -> None:
    """Nothing is shared but a remote; the study's lock in Git is older than its settings."""
    first, second = (Workspace(tmp_path / name) for name in ("first", "second"))
    for clone in (first, second):
        workspace.run("git", "clone", "-q", str(workspace.root), str(clone.root))
        clone.run("dvc", "remote", "add", "-q", "-d", "team", str(tmp_path / "remote"))
        params = clone.root / "params.yaml"
        changed, times = re.subn(r"^  patience: \d+$", "  patience: 3", params.read_text(), flags=re.MULTILINE)
        assert times == 1
        params.write_text(changed)
    first.run("make", "-s", "READY=", "worker", "MODEL=compact_cnn")
    assert first.trainings() == 1
    second.run("dvc", "pull", "--run-cache", "--allow-missing")
    said = second.run("dvc", "repro", "--pull", "train@compact_cnn")
    assert "Stage 'train@compact_cnn' is cached" in said
    assert second.trainings() == 0
    assert second.bytes_of("models/compact_cnn/*") == first.bytes_of("models/compact_cnn/*") != {}
