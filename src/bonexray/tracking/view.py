"""A view in MLflow that compares the models of a study: balanced accuracy, loss curves and cost."""

import json
from collections.abc import Mapping
from urllib.parse import quote

from bonexray.tracking.grouping import STUDY
from bonexray.tracking.store import STAGE, TrackingStore

SHARED = "mlflow.sharedViewState."  # the tag of an experiment that MLflow's page reads a view from
SCORE = "test/balanced_accuracy"
COST = ("test/multiply_adds", "test/parameters", "test/file_mb")
SECTIONS = {
    "Balanced accuracy": ("BAR", (SCORE,)),
    "Loss curves": ("LINE", ("val_log_loss", "log_loss")),
    "Cost": ("BAR", COST),
}
LINE = {"xAxisKey": "step", "yAxisKey": "metric", "yAxisExpressions": [], "scaleType": "linear", "lineSmoothness": 0}
CLOSED = ("Model metrics", "System metrics", "test")  # sections of all other metrics, which MLflow adds


def share_view(store: TrackingStore, study: str) -> str:
    """Put the view of a study into the experiment; return its address on a server, from the slash after the port on."""
    key = quote(study.replace(" ", "-"), safe="")
    store.client.set_experiment_tag(store.experiment_id, SHARED + key, json.dumps(_view(study), separators=(",", ":")))
    return f"/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={key}"


def _view(study: str) -> dict[str, object]:
    """Return the state of the page, in MLflow's own names."""
    return {
        "searchFilter": f"tags.{STUDY} = '{study}' and tags.{STAGE} != 'aggregate'",
        "orderByKey": _column(SCORE),
        "orderByAsc": False,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "selectedColumns": [_column(metric) for metric in (SCORE, *COST)],
        "compareRunCharts": [
            _chart(kind, section, metric) for section, (kind, metrics) in SECTIONS.items() for metric in metrics
        ],
        "compareRunSections": [
            *(_section(name, True) for name in SECTIONS),
            *(_section(name, False) for name in CLOSED),
        ],
        "isAccordionReordered": True,
    }


def _column(metric: str) -> str:
    return f"metrics.`{metric}`"


def _chart(kind: str, section: str, metric: str) -> Mapping[str, object]:
    chart = {"type": kind, "uuid": metric, "metricSectionId": section, "metricKey": metric}
    return {**chart, **LINE, "selectedMetricKeys": [metric]} if kind == "LINE" else chart


def _section(name: str, is_open: bool) -> Mapping[str, object]:
    return {"uuid": name, "name": name, "display": is_open, "isReordered": True}
