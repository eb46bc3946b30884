"""A study of two models and its MLflow runs, for the tests of tracking."""

import multiprocessing
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from ruamel.yaml import YAML

from bonexray.base.files import write_json
from bonexray.study import Settings, load_settings
from bonexray.tracking.live import live_run
from bonexray.tracking.store import tracking_uri

REPOSITORY = Path(__file__).parents[1]
CARD = {
    "model": "densenet121",
    "mode": "frozen",
    "fingerprint": "f" * 64,
    "manifest_sha256": "a" * 64,
    "leak_suspect": False,
    "runs": [{"repeat": 1, "fold": 1}],
}
EPOCH = {
    "loss": 1.0,
    "accuracy": 0.5,
    "log_loss": 1.0,
    "val_loss": 1.1,
    "val_log_loss": 1.1,
    "val_accuracy": 0.4,
    "learning_rate": 0.001,
}
EXPERIMENT = "study"
SCORES = {
    "n": 6,
    "accuracy": 0.5,
    "balanced_accuracy": 0.4,
    "roc_auc": None,
    "val_accuracy": 0.9,
    "confusion": {"normal": {"normal": 2, "osteoporosis": 1}, "osteoporosis": {"normal": 1, "osteoporosis": 2}},
    "epochs": 2,
}
HEADLINE = {"model": "densenet121", "models": 2, "balanced_accuracy": 0.4, "roc_auc": None}


@cache
def two_models() -> Settings:
    """Return the settings of a study of two models."""
    return Settings.model_validate(_params())


def write_settings(root: Path) -> Settings:
    """Write params.yaml for a study of two models, and return its settings."""
    YAML(typ="safe").dump(_params(), root / "params.yaml")
    return load_settings(root / "params.yaml")


@cache
def _params() -> dict:
    params = YAML(typ="safe").load(REPOSITORY / "params.yaml")
    params["train"] |= {"epochs": 2, "seed": 7}
    params["track"] = {"experiment": EXPERIMENT, "register": False}
    params["models"] = {name: params["models"][name] for name in ("compact_cnn", "densenet121")}
    return params


def write_study(root: Path) -> None:
    """Write the files of a finished study of two models."""
    for number, name in enumerate(("compact_cnn", "densenet121")):
        write_json(root / f"models/{name}/model.json", {**CARD, "model": name, "fingerprint": f"{number}" * 64})
        lines = ["epoch,loss,val_loss,learning_rate", "1,1.0,1.2,0.001", "2,0.5,1.1,0.0005"]
        (root / f"models/{name}/history.csv").write_text("\n".join(lines) + "\n")
        (root / f"reports/models/{name}").mkdir(parents=True)
        (root / f"reports/models/{name}/{name}_confusion_matrix.png").write_bytes(b"png")
    write_json(root / "metrics/headline.json", HEADLINE)
    write_json(root / "metrics/models.json", {"compact_cnn": SCORES, "densenet121": SCORES})
    write_json(root / "metrics/ensembles.json", {})
    (root / "metrics/comparison.csv").write_text("rank,model\n1,densenet121\n")
    (root / "reports/comparison").mkdir(parents=True)
    (root / "reports/comparison/models_comparison.png").write_bytes(b"png")


def train_live(epochs: int = 2, card: dict[str, object] = CARD) -> None:
    """Log a training while it goes on, with the settings in params.yaml."""
    with live_run(card) as run:
        for number in range(1, epochs + 1):
            run.epoch(number, {**EPOCH, "loss": 1 / number})


def runs(stage: str | None = None) -> list[Run]:
    """Return the runs that are not deleted, of one stage or of all."""
    client = MlflowClient(tracking_uri())
    logged = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    return [run for run in logged if stage in (None, run.data.tags.get("stage"))]


def steps_of(run: Run, metric: str) -> list[tuple[int, float]]:
    """Return the values of a metric with their epochs."""
    return [(m.step, m.value) for m in MlflowClient(tracking_uri()).get_metric_history(run.info.run_id, metric)]


def artifacts_of(run: Run, folder: str | None = None) -> list[str]:
    """Return the paths of a run's files."""
    return sorted(entry.path for entry in MlflowClient(tracking_uri()).list_artifacts(run.info.run_id, folder))


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """Call a function with 0, 1, ... in processes at the same moment; return the results."""
    context = multiprocessing.get_context("fork")  # keeps what is imported
    barrier, answers = context.Barrier(count), context.SimpleQueue()

    def one(number: int) -> None:
        barrier.wait(60)
        answers.put(act(number))

    processes = [context.Process(target=one, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * count
    return [answers.get() for _ in processes]
