"""Whatever run is missing, made from the files that DVC keeps."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from mlflow.entities import Param

from bonexray.config import Settings
from bonexray.data.folds import FIRST, Run
from bonexray.outputs import digest, read_json, sha256_of
from bonexray.tracking.live import start_run, training_fingerprint
from bonexray.tracking.store import (
    FINGERPRINT,
    LEAK,
    STAGE,
    Store,
    create_run,
    finished_runs,
    flat,
    git_commit,
    metrics_of,
    one_warning,
    open_store,
    tracking_uri,
    without_secret,
)  # fmt: skip

log = logging.getLogger("bonexray")
HEADLINE = Path("metrics/headline.json")
EVALUATION, REPORT = "evaluation", "report"  # tags: the hash of what was added last


def sync(settings: Settings) -> dict[str, int]:
    """Create every run of the study that is missing, from the files; create nothing twice.

    Returns:
        How many trainings, evaluations, ensembles and studies were added, and with `track.register` how many champions.
    """
    store = open_store(settings.track.experiment)
    added = {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 0}
    for name in settings.models:
        card_file = Path(f"models/{name}/model.json")
        if not card_file.exists():
            log.warning("%s is not here: `dvc repro` or `dvc pull` brings it; its run is left out", card_file.parent)
            continue
        card = read_json(card_file)
        for run in [Run(**item) for item in card["runs"]][::-1]:  # the first one last: it carries the evaluation
            known = finished_runs(store, FINGERPRINT, training_fingerprint(card, run))
            added["trainings"] += not known
            folder = card_file.parent if run == FIRST else card_file.parent / run.name
            run_id = known[0] if known else _training_from_files(store, settings, card, run, folder)
        added["evaluations"] += _add_evaluation(store, run_id, name)
    added["ensembles"] += _add_ensembles(store, settings)
    study, is_new = _add_study(store, settings)
    added["studies"] += is_new
    if settings.track.register and study:
        from bonexray.tracking.registered import register_chosen

        added["champions"] = int(register_chosen(store, study, settings, read_json(HEADLINE)["model"]))
    return added


def try_to_sync(settings: Settings) -> None:
    """Sync where it works; a store that does not answer costs one warning, because the numbers are in files."""
    with one_warning():
        added = sync(settings)
        log.info(
            "MLflow: %s; new: %s",
            without_secret(tracking_uri()),
            ", ".join(f"{count} {name}" for name, count in added.items()),
        )


def _training_from_files(store: Store, settings: Settings, card: Mapping[str, object], run: Run, folder: Path) -> str:
    run_id = start_run(store, settings, card, run)
    for row in pd.read_csv(folder / "history.csv").to_dict("records"):
        epoch = int(row.pop("epoch"))
        store.client.log_batch(run_id, metrics_of(row, step=epoch))
    store.client.set_terminated(run_id, "FINISHED")
    return run_id


def _add_evaluation(store: Store, run_id: str, model: str) -> bool:
    """Test metrics, figures and heat maps onto a training's run, unless these very ones are there."""
    file = Path(f"metrics/models/{model}.json")
    if not file.exists():
        return False
    scores = read_json(file)
    version = digest(scores)
    if store.client.get_run(run_id).data.tags.get(EVALUATION) == version:
        return False
    numbers = {f"test/{key}": value for key, value in flat(scores) if not key.startswith("val_")}
    store.client.log_batch(run_id, metrics_of(numbers, step=0))
    store.client.log_artifacts(run_id, f"reports/models/{model}", "evaluation")
    if (heat_maps := Path(f"reports/explained/{model}")).exists():
        store.client.log_artifacts(run_id, str(heat_maps), "explained")
    store.client.set_tag(run_id, EVALUATION, version)
    return True


def _add_ensembles(store: Store, settings: Settings) -> int:
    """A run an ensemble: what was fitted on validation, test metrics and figures."""
    file = Path("metrics/ensembles.json")
    ensembles = read_json(file) if file.exists() else {}
    scores, added = read_json("metrics/models.json") if ensembles else {}, 0
    for name, made in ensembles.items():
        version = digest({"ensemble": name, "made": made, "scores": scores[name]})
        if finished_runs(store, FINGERPRINT, version):
            continue
        tags = {
            "model": name, "dataset": settings.dataset.name, STAGE: "ensemble", FINGERPRINT: version,
            "git_commit": git_commit(), LEAK: scores[name].get(LEAK),
        }  # fmt: skip
        run_id = create_run(store, name, tags)
        numbers = {f"test/{key}": value for key, value in flat(scores[name]) if not key.startswith("val_")}
        store.client.log_batch(run_id, metrics_of(numbers, step=0), [Param("members", ", ".join(made["members"]))])
        store.client.log_dict(run_id, made["fitted"], "fitted.json")
        store.client.log_artifacts(run_id, f"reports/ensembles/{name}", "evaluation")
        store.client.set_terminated(run_id, "FINISHED")
        added += 1
    return added


def _add_study(store: Store, settings: Settings) -> tuple[str | None, bool]:
    """One run for the comparison as a whole, and on it the newest report; the run, and whether it is new."""
    if not HEADLINE.exists():
        return None, False
    content, models = dict(flat(read_json(HEADLINE))), read_json("metrics/models.json")
    version = digest({"models": models, "headline": content})
    known = finished_runs(store, FINGERPRINT, version)
    if known:
        _add_report(store, known[0])
        return known[0], False
    tags = {
        STAGE: "aggregate",
        "dataset": settings.dataset.name,
        FINGERPRINT: version,
        "git_commit": git_commit(),
        LEAK: content.get(LEAK),
    }
    run_id = create_run(store, f"study of {len(settings.models)} on {settings.dataset.name}", tags)
    params = [Param("models", ", ".join(settings.models)), Param("chosen", str(content.get("model")))]
    panel = {f"balanced_accuracy/{name}": scores.get("balanced_accuracy") for name, scores in models.items()}
    store.client.log_batch(run_id, metrics_of({**content, **panel}, step=0), params)
    store.client.log_artifact(run_id, "metrics/comparison.csv")
    store.client.log_artifacts(run_id, "reports/comparison", "figures")
    _add_report(store, run_id)
    store.client.set_terminated(run_id, "FINISHED")
    return run_id, True


def _add_report(store: Store, run_id: str) -> None:
    report = Path("reports/report.html")
    if not report.exists() or store.client.get_run(run_id).data.tags.get(REPORT) == (version := sha256_of(report)):
        return
    store.client.log_artifact(run_id, str(report))
    store.client.set_tag(run_id, REPORT, version)
