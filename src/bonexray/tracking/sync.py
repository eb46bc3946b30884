"""Whatever run is missing, made from the files that DVC keeps."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
from mlflow.entities import Param
from mlflow.entities import Run as LoggedRun

from bonexray.data.folds import FIRST, Run
from bonexray.data.paths import (
    COMPARISON,
    COMPARISON_REPORTS,
    ENSEMBLE_REPORTS,
    ENSEMBLES,
    EXPLAINED_REPORTS,
    HEADLINE,
    HISTORY,
    MODEL_CARD,
    MODEL_REPORTS,
    MODELS,
    model_folder,
)
from bonexray.data.scores import all_scores
from bonexray.errors import BonexrayError
from bonexray.files import read_json
from bonexray.hashing import digest, sha256_of
from bonexray.study import Settings, load_settings
from bonexray.tracking.live import start_run, training_fingerprint
from bonexray.tracking.store import (
    FAILURES,
    FINGERPRINT,
    FINISHED,
    LEAK,
    STAGE,
    Store,
    create_run,
    flat,
    git_commit,
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
EVALUATION, REPORT = "evaluation", "report"  # tags: the hash of what was added last


def sync(settings: Settings) -> dict[str, int]:
    """Create every run of the study that is missing, from the files; create nothing twice.

    Another sync of this repository is waited for. Two machines that sync the same study to one server at the same
    moment leave one run of it as well, or two that the next sync makes one.

    Returns:
        How many trainings, evaluations, ensembles and studies were added, and with `track.register` how many champions.

    Raises:
        BonexrayError: the store fails; what was added stays, and the next sync goes on from there.
    """
    try:
        return _sync(settings)
    except FAILURES as error:
        do = "see that it is there and has room, then run `bonexray sync` again; it goes on where it was"
        expected = "a store that takes the runs"
        raise BonexrayError("MLflow", expected=expected, received=reason_of(error), do=do) from error


def try_to_sync() -> None:
    """Sync where it works; a store that does not answer costs one warning, because the numbers are in files."""
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
        store = open_store(settings.track.experiment)
        for name in settings.models:
            if (model_folder(name) / MODEL_CARD).exists():
                run_id, trainings = _add_trainings(store, settings, name)
                added["trainings"] += trainings
                added["evaluations"] += _add_evaluation(store, run_id, name)
            else:
                log.warning("%s is missing; `dvc repro` or `dvc pull` brings it", model_folder(name))
        added["ensembles"] += _add_ensembles(store, settings)
        study, is_new = _add_study(store, settings)
        added["studies"] += is_new
        if settings.track.registered and study:
            from bonexray.tracking.registered import register_chosen

            added["champions"] = int(register_chosen(store, study, settings, read_json(HEADLINE)["model"]))
    return added


def _once(store: Store, fingerprint: str, make: Callable[[], str]) -> tuple[str, bool]:
    """The one finished run with a fingerprint, made if there is none, and whether it was made.

    A run that was left unfinished before it, by a process or a server that died, is deleted, and so is a double.
    """
    known = runs_of(store, fingerprint)
    if finished := [run for run in known if run.info.status == FINISHED]:
        kept, *doubles = finished
        left = [run for run in known if run.info.status != FINISHED and run.info.start_time < kept.info.start_time]
        _delete(store, [*doubles, *left])
        return kept.info.run_id, False
    made = make()
    _delete(store, known)
    rivals = [run for run in runs_of(store, fingerprint) if run.info.status == FINISHED]
    first = min(rivals, key=lambda run: (run.info.end_time, run.info.run_id)).info.run_id
    if first != made:  # another machine was faster
        store.client.delete_run(made)
    return first, first == made


def _delete(store: Store, runs: list[LoggedRun]) -> None:
    for run in runs:
        store.client.delete_run(run.info.run_id)


def _add_trainings(store: Store, settings: Settings, name: str) -> tuple[str, int]:
    """A model's trainings; the id of the first one, which carries the evaluation, and how many were added."""
    folder, ids, added = model_folder(name), {}, 0
    card = read_json(folder / MODEL_CARD)
    for run in [Run(**item) for item in card["runs"]]:
        place = folder if run == FIRST else folder / run.name
        make = partial(_training_from_files, store, settings, card, run, place)
        ids[run], made = _once(store, training_fingerprint(card, run), make)
        added += made
    return ids[FIRST], added


def _training_from_files(store: Store, settings: Settings, card: Mapping[str, object], run: Run, folder: Path) -> str:
    run_id = start_run(store, settings, card, run)
    for row in pd.read_csv(folder / HISTORY).to_dict("records"):
        epoch = int(row.pop("epoch"))
        store.client.log_batch(run_id, metrics_of(row, step=epoch))
    store.client.set_terminated(run_id, FINISHED)
    return run_id


def _add_evaluation(store: Store, run_id: str, model: str) -> bool:
    """Test metrics, figures and heat maps onto a training's run, unless these very ones are there."""
    scores = read_json(MODELS).get(model) if MODELS.exists() else None
    if scores is None:
        return False
    heat_maps = EXPLAINED_REPORTS / model
    drawn = sorted(heat_maps.iterdir()) if heat_maps.exists() else []
    version = digest({**scores, "explained": {path.name: sha256_of(path) for path in drawn}})
    if store.client.get_run(run_id).data.tags.get(EVALUATION) == version:
        return False
    numbers = {f"test/{key}": value for key, value in flat(scores) if not key.startswith("val_")}
    store.client.log_batch(run_id, metrics_of(numbers, step=0))
    store.client.log_artifacts(run_id, str(MODEL_REPORTS / model), "evaluation")
    if drawn:
        store.client.log_artifacts(run_id, str(heat_maps), "explained")
    store.client.set_tag(run_id, EVALUATION, version)
    return True


def _add_ensembles(store: Store, settings: Settings) -> int:
    """A run an ensemble."""
    added = 0
    for name, ensemble in (read_json(ENSEMBLES) if ENSEMBLES.exists() else {}).items():
        version = digest({"ensemble": name, **ensemble})
        make = partial(_ensemble_from_files, store, settings, name, ensemble, version)
        added += _once(store, version, make)[1]
    return added


def _ensemble_from_files(
    store: Store, settings: Settings, name: str, ensemble: Mapping[str, Mapping], version: str
) -> str:
    """What was fitted on validation, test metrics and figures."""
    scores = ensemble["scores"]
    tags = {
        "model": name,
        "dataset": settings.dataset.name,
        STAGE: "ensemble",
        FINGERPRINT: version,
        "git_commit": git_commit(),
        LEAK: scores.get(LEAK),
    }
    run_id = create_run(store, name, tags)
    numbers = {f"test/{key}": value for key, value in flat(scores) if not key.startswith("val_")}
    store.client.log_batch(run_id, metrics_of(numbers, step=0), [Param("members", ", ".join(ensemble["members"]))])
    store.client.log_dict(run_id, ensemble["fitted"], "fitted.json")
    store.client.log_artifacts(run_id, str(ENSEMBLE_REPORTS / name), "evaluation")
    store.client.set_terminated(run_id, FINISHED)
    return run_id


def _add_study(store: Store, settings: Settings) -> tuple[str | None, bool]:
    """One run for the comparison as a whole, and on it the newest report; the run, and whether it is new."""
    if not HEADLINE.exists():
        return None, False
    content, models = dict(flat(read_json(HEADLINE))), all_scores(read_json(MODELS), read_json(ENSEMBLES))
    version = digest({"models": models, "headline": content})
    run_id, made = _once(store, version, partial(_study_from_files, store, settings, content, models, version))
    _add_report(store, run_id)
    return run_id, made


def _study_from_files(
    store: Store, settings: Settings, headline: Mapping[str, object], models: Mapping[str, Mapping], version: str
) -> str:
    tags = {
        STAGE: "aggregate",
        "dataset": settings.dataset.name,
        FINGERPRINT: version,
        "git_commit": git_commit(),
        LEAK: headline.get(LEAK),
    }
    run_id = create_run(store, f"study of {len(settings.models)} on {settings.dataset.name}", tags)
    params = [Param("models", ", ".join(settings.models)), Param("chosen", str(headline.get("model")))]
    panel = {f"balanced_accuracy/{name}": scores.get("balanced_accuracy") for name, scores in models.items()}
    store.client.log_batch(run_id, metrics_of({**headline, **panel}, step=0), params)
    store.client.log_artifact(run_id, str(COMPARISON))
    store.client.log_artifacts(run_id, str(COMPARISON_REPORTS), "figures")
    store.client.set_terminated(run_id, FINISHED)
    return run_id


def _add_report(store: Store, run_id: str) -> None:
    report = Path("reports/report.html")
    if not report.exists() or store.client.get_run(run_id).data.tags.get(REPORT) == (version := sha256_of(report)):
        return
    store.client.log_artifact(run_id, str(report))
    store.client.set_tag(run_id, REPORT, version)
