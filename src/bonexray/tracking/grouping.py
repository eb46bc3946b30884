"""The runs of a study, grouped by a tag."""

import re
from collections.abc import Iterable

from bonexray.base.hashing import digest
from bonexray.study import Settings
from bonexray.tracking.store import FINISHED, TrackingStore

STUDY = "study"
PLACES = {"track", "compute"}  # sections that do not change a result
MAX_RUNS = 1000


def study_name(settings: Settings) -> str:
    """Return the value of the tag `study`: the dataset, and a few characters that stand for all settings."""
    dataset = re.sub(r"[^\w. -]", "_", settings.dataset.name)  # MLflow's queries allow no escape of a quote
    return f"{dataset} {digest(settings.model_dump(exclude=PLACES))[:8]}"


def group(store: TrackingStore, name: str, members: Iterable[str]) -> None:
    """Give the tag of a study to its runs, and take it from finished runs that are no longer part of it.

    A run that two studies share, such as a training restored from the cache, belongs to the one that was synced last.

    Args:
        store: the store.
        name: the value of the tag.
        members: the ids of the runs.
    """
    query = f"tags.{STUDY} = '{name}'"
    tagged = {
        run.info.run_id: run for run in store.client.search_runs([store.experiment_id], query, max_results=MAX_RUNS)
    }
    for run_id in {*members} - {*tagged}:
        store.client.set_tag(run_id, STUDY, name)
    for run_id in {*tagged} - {*members}:
        if tagged[run_id].info.status == FINISHED:
            store.client.delete_tag(run_id, STUDY)
