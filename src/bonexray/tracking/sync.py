"""Creation of missing MLflow runs from the study's files."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from mlflow.entities import Param
from mlflow.entities import Run as LoggedRun

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.base.hashing import digest, sha256_of
from bonexray.data.folds import FIRST, Run
from bonexray.data.paths import (
    COMPARISON,
    COMPARISON_REPORTS,
    ENSEMBLE_REPORTS,
    ENSEMBLES,
    EXPLAINED_REPORTS,
    EXTERNAL_METRICS,
    HEADLINE,
    HISTORY,
    MODEL_CARD,
    MODEL_REPORTS,
    MODELS,
    model_folder,
)
from bonexray.data.scores import all_scores
from bonexray.study import Settings, load_settings
from bonexray.tracking.grouping import group, study_name
from bonexray.tracking.live import start_run, training_fingerprint
from bonexray.tracking.store import (
    FAILURES,
    FINGERPRINT,
    FINISHED,
    LEAK,
    STAGE,
    TrackingStore,
    create_run,
    flat,
    metrics_of,
    one_process_at,
    one_warning,
    open_store,
    reason_of,
    runs_of,
    tracking_uri,
    without_secret,
)

log = logging.getLogger("bonexray")
ON_EXTERNAL = ("balanced_accuracy", "drop_balanced_accuracy", "roc_auc", "log_loss")
EVALUATION, REPORT = "evaluation", "report"  # tags: the hash of the content added last
AGGREGATE = "dvc repro aggregate"


def sync(settings: Settings) -> dict[str, int]:
    """Create every missing run of the study from its files, each once.

    It waits until no other sync of this repository is running. If two machines sync the same study to one server at the
    same moment, duplicates are removed, at the latest by the next sync.

    Returns:
        The number of trainings, evaluations, ensembles and studies added and, with `track.register`, of champions.

    Raises:
        BonexrayError: the store failed; the runs added so far remain, and the next sync continues.
    """
    try:
        return _sync(settings)
    except FAILURES as error:
        do = "check that it is reachable and has space, then run `bonexray sync` again; it continues"
        expected = "a store that accepts runs"
        raise BonexrayError("MLflow", expected=expected, received=reason_of(error), do=do) from error


def try_to_sync() -> None:
    """Sync with the settings in params.yaml; if the store fails, only warn, because the scores are in files."""
    with one_warning():
        added = _sync(load_settings())
        log.info(
            "MLflow: %s; new: %s",
            without_secret(tracking_uri()),
            ", ".join(f"{count} {name}" for name, count in added.items()),
        )


def _sync(settings: Settings) -> dict[str, int]:
    added = {"trainings": 0, "evaluations": 0, "ensembles": 0, "studies": 0}
    with one_process_at("sync"):
        store = open_store(settings.track.name)
        members = []
        for name in settings.models:
            if (model_folder(name) / MODEL_CARD).exists():
                ids, trainings = _add_trainings(store, settings, name)
                members += ids.values()
                added["trainings"] += trainings
                added["evaluations"] += _add_evaluation(store, ids[FIRST], name, list(settings.external))
            else:
                log.warning("%s is missing; run `dvc repro` or `dvc pull`", model_folder(name))
        ensembles, added["ensembles"] = _add_ensembles(store, settings)
        study, is_new = _add_study(store, settings)
        added["studies"] += is_new
        group(store, study_name(settings), [*members, *ensembles, *filter(None, [study])])
        if settings.track.registered and study:
            from bonexray.tracking.registered import register_chosen

            added["champions"] = int(register_chosen(store, study, settings, read_json(HEADLINE)["model"]))
    return added


def _once(store: TrackingStore, fingerprint: str, create: Callable[[], str]) -> tuple[str, bool]:
    """Return the id of the one finished run with a fingerprint, created if missing, and whether it was created.

    Unfinished runs that were started before it, by a process or server that died, are deleted, and so are duplicates.
    """
    earlier = runs_of(store, fingerprint)
    if finished := [run for run in earlier if run.info.status == FINISHED]:
        kept, *duplicates = finished
        dead = [run for run in earlier if run.info.status != FINISHED and run.info.start_time < kept.info.start_time]
        _delete(store, [*duplicates, *dead])
        return kept.info.run_id, False
    created = create()
    _delete(store, earlier)
    rivals = [run for run in runs_of(store, fingerprint) if run.info.status == FINISHED]
    first = min(rivals, key=lambda run: (run.info.end_time, run.info.run_id)).info.run_id
    if first != created:  # another machine was faster
        store.client.delete_run(created)
    return first, first == created


def _delete(store: TrackingStore, runs: list[LoggedRun]) -> None:
    for run in runs:
        store.client.delete_run(run.info.run_id)


def _add_trainings(store: TrackingStore, settings: Settings, name: str) -> tuple[dict[Run, str], int]:
    """Add a model's trainings; return the ids of all its runs and the number added."""
    folder, ids, added = model_folder(name), {}, 0
    card = read_json(folder / MODEL_CARD)
    for run in [Run(**item) for item in card["runs"]]:
        run_folder = folder if run == FIRST else folder / run.name
        create = partial(_training_from_files, store, settings, card, run, run_folder)
        ids[run], is_new = _once(store, training_fingerprint(card, run), create)
        added += is_new
    return ids, added


def _training_from_files(
    store: TrackingStore, settings: Settings, card: Mapping[str, object], run: Run, folder: Path
) -> str:
    run_id = start_run(store, settings, card, run)
    for row in pd.read_csv(folder / HISTORY).to_dict("records"):
        epoch = int(row.pop("epoch"))
        store.client.log_batch(run_id, metrics_of(row, step=epoch))
    store.client.set_terminated(run_id, FINISHED)
    return run_id


def _add_evaluation(store: TrackingStore, run_id: str, model: str, cohorts: Sequence[str]) -> bool:
    """Add scores on test and on external cohorts, figures and heat maps to a training's run; return False if it has them."""
    scores = read_json(MODELS).get(model) if MODELS.exists() else None
    if scores is None:
        return False
    heat_maps = EXPLAINED_REPORTS / model
    files = sorted(heat_maps.iterdir()) if heat_maps.exists() else []
    external = _external_scores(model, cohorts)
    version = digest({**scores, **external, "explained": {path.name: sha256_of(path) for path in files}})
    if store.client.get_run(run_id).data.tags.get(EVALUATION) == version:
        return False
    metrics = {f"test/{key}": value for key, value in flat(scores) if not key.startswith("val_")}
    store.client.log_batch(run_id, metrics_of({**metrics, **external}, step=0))
    store.client.log_artifacts(run_id, str(MODEL_REPORTS / model), "evaluation")
    if files:
        store.client.log_artifacts(run_id, str(heat_maps), "explained")
    store.client.set_tag(run_id, EVALUATION, version)
    return True


def _external_scores(model: str, cohorts: Sequence[str]) -> dict[str, float]:
    """Return a model's main scores on the external cohorts that have been scored, `external/<cohort>/<score>`."""
    files = {name: EXTERNAL_METRICS / f"{name}.json" for name in cohorts}
    own = {name: read_json(path)["models"].get(model, {}) for name, path in files.items() if path.exists()}
    return {
        f"external/{name}/{score}": found[score]
        for name, found in own.items()
        for score in ON_EXTERNAL
        if score in found
    }


def _add_ensembles(store: TrackingStore, settings: Settings) -> tuple[list[str], int]:
    """Add one run per ensemble; return the ids of all and the number added."""
    ids, added = [], 0
    for name, ensemble in (read_json(ENSEMBLES) if ENSEMBLES.exists() else {}).items():
        if "scores" not in ensemble:  # written by 0.1.0
            continue
        version = digest({"ensemble": name, **ensemble})
        create = partial(_ensemble_from_files, store, settings, name, ensemble, version)
        run_id, is_new = _once(store, version, create)
        ids.append(run_id)
        added += is_new
    return ids, added


def _ensemble_from_files(
    store: TrackingStore, settings: Settings, name: str, ensemble: Mapping[str, Mapping], version: str
) -> str:
    """Create the run of an ensemble: its fitted parameters, test scores and figures."""
    scores = ensemble["scores"]
    tags = {
        "model": name,
        "dataset": settings.dataset.name,
        STAGE: "ensemble",
        FINGERPRINT: version,
        LEAK: scores.get(LEAK),
    }
    note = f"The ensemble {name} of {', '.join(ensemble['members'])}, fitted on validation"
    run_id = create_run(store, name, tags, AGGREGATE, note)
    metrics = {f"test/{key}": value for key, value in flat(scores) if not key.startswith("val_")}
    store.client.log_batch(run_id, metrics_of(metrics, step=0), [Param("members", ", ".join(ensemble["members"]))])
    store.client.log_dict(run_id, ensemble["fitted"], "fitted.json")
    store.client.log_artifacts(run_id, str(ENSEMBLE_REPORTS / name), "evaluation")
    store.client.set_terminated(run_id, FINISHED)
    return run_id


def _add_study(store: TrackingStore, settings: Settings) -> tuple[str | None, bool]:
    """Add one run for the whole study, with the newest report; return its id and whether it is new."""
    if not HEADLINE.exists():
        return None, False
    content, models = dict(flat(read_json(HEADLINE))), all_scores(read_json(MODELS), read_json(ENSEMBLES))
    version = digest({"models": models, "headline": content})
    run_id, is_new = _once(store, version, partial(_study_from_files, store, settings, content, models, version))
    _add_report(store, run_id)
    return run_id, is_new


def _study_from_files(
    store: TrackingStore,
    settings: Settings,
    headline: Mapping[str, object],
    models: Mapping[str, Mapping],
    version: str,
) -> str:
    tags = {
        STAGE: "aggregate",
        "dataset": settings.dataset.name,
        FINGERPRINT: version,
        LEAK: headline.get(LEAK),
    }
    note = f"Comparison of {', '.join(settings.models)} on {settings.dataset.name}; chosen on validation: {headline.get('model')}"
    run_id = create_run(store, f"study of {len(settings.models)} on {settings.dataset.name}", tags, AGGREGATE, note)
    params = [Param("models", ", ".join(settings.models)), Param("chosen", str(headline.get("model")))]
    panel = {f"balanced_accuracy/{name}": scores.get("balanced_accuracy") for name, scores in models.items()}
    store.client.log_batch(run_id, metrics_of({**headline, **panel}, step=0), params)
    store.client.log_artifact(run_id, str(COMPARISON))
    store.client.log_artifacts(run_id, str(COMPARISON_REPORTS), "figures")
    store.client.set_terminated(run_id, FINISHED)
    return run_id


def _add_report(store: TrackingStore, run_id: str) -> None:
    report = Path("reports/report.html")
    if not report.exists() or store.client.get_run(run_id).data.tags.get(REPORT) == (version := sha256_of(report)):
        return
    store.client.log_artifact(run_id, str(report))
    store.client.set_tag(run_id, REPORT, version)
