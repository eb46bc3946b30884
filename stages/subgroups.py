"""Score the chosen model in each subgroup of the record, and test whether a column may explain its scores."""

import logging

import numpy as np
import pandas as pd

from bonexray.aggregate.frozen_features import frozen_features, standardised
from bonexray.aggregate.multiplicity import holm
from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder, read_json, write_json
from bonexray.data.folds import learners
from bonexray.data.manifest import class_numbers, read_classes, read_manifest
from bonexray.data.paths import CONFOUNDERS, MODELS, SUBGROUP_REPORTS, SUBGROUPS
from bonexray.data.record import read_record
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import predictions_in
from bonexray.figures.subgroups.columns import draw_subgroups
from bonexray.registry import model_title
from bonexray.stage import run_stage
from bonexray.subgroups.chosen import Chosen, read_chosen
from bonexray.subgroups.confounders import Column, confounding
from bonexray.subgroups.scores import largest_gaps, scores_by_subgroup
from bonexray.subgroups.values import subgroups_of

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    evaluate: Evaluate
    dataset: Dataset


def main(settings: Settings) -> None:
    """Write metrics/subgroups.json, metrics/confounders.json and reports/subgroups/; all are empty without columns."""
    classes, manifest = read_classes(), read_manifest()
    chosen, record = read_chosen(classes), read_record().loc[manifest["id"]]
    columns = {}
    for name in settings.dataset.columns:
        values, names = subgroups_of(name, record[name], learners(manifest))
        columns[name] = Column(manifest, class_numbers(manifest["label"], classes), values, names)
    found = {name: column_scores(chosen, column, classes, settings) for name, column in columns.items()}
    for name, gaps in corrected({name: each["gaps"] for name, each in found.items()}).items():
        found[name]["gaps"] = gaps
    write_reports(found, chosen, classes, settings)
    write_json(SUBGROUPS, {"model": chosen.name, "columns": found})
    write_json(CONFOUNDERS, confounders(columns, chosen, classes, settings))
    for name, each in found.items():
        log.info("%s: %s", name, summary_line(each["gaps"]))


def confounders(
    columns: dict[str, Column], chosen: Chosen, classes: list[str], settings: Settings
) -> dict[str, object]:
    """Return the result of `confounding` for each column, and the network whose features it used."""
    frozen = frozen_features(read_json(MODELS)) if columns else None
    if frozen is None:
        return {"model": chosen.name, "features_of": None, "columns": {}}
    network, features = frozen
    test = predictions_in(chosen.rows, chosen.probabilities, classes, "test")
    found = {}
    for name, column in columns.items():
        scaled = standardised(features, (column.manifest["split"] == "train").to_numpy())
        found[name] = confounding(column, scaled, test, classes, settings.evaluate)
        if found[name].get("named") or found[name].get("inseparable"):
            log.warning("the scores may be those of %r: see the report", name)
    return {"model": chosen.name, "features_of": network, "columns": found}


def write_reports(found: dict[str, dict], chosen: Chosen, classes: list[str], settings: Settings) -> None:
    """Write reports/subgroups/: a table, and a figure if there are columns."""
    with atomic_folder(SUBGROUP_REPORTS) as folder:
        if found:
            whole = evaluate(
                chosen.rows, chosen.probabilities, classes, settings.evaluate, settings.dataset.ordered, chosen.learned
            ).scores
            values = {column: each["values"] for column, each in found.items()}
            draw_subgroups(values, whole, model_title(chosen.name), folder / "subgroups.png")
        table(found).to_csv(folder / "subgroups.csv", index=False, lineterminator="\n", float_format="%.6f")


def column_scores(chosen: Chosen, column: Column, classes: list[str], settings: Settings) -> dict[str, dict]:
    """Return the scores of each subgroup of a column as `values`, and the largest gaps as `gaps`."""
    rows, probabilities, ordered = chosen.rows, chosen.probabilities, settings.dataset.ordered
    subgroups = pd.Series(column.values, index=column.manifest["id"]).loc[rows["id"]].to_numpy()
    names = column.names
    values = scores_by_subgroup(
        rows, probabilities, subgroups, names, classes, settings.evaluate, ordered, chosen.learned
    )
    gaps = largest_gaps(rows, probabilities, subgroups, values, classes, settings.evaluate)
    return {"values": {name: scores for name, scores in values.items() if scores["n"]}, "gaps": gaps}


def corrected(gaps: dict[str, dict]) -> dict[str, dict]:
    """Return the gaps with `p_holm`, corrected over all columns and scores."""
    keys = [(column, score) for column, scores in gaps.items() for score in scores]
    p = holm(np.array([gaps[column][score]["p"] for column, score in keys]))
    result: dict[str, dict] = {column: {} for column in gaps}
    for (column, score), value in zip(keys, p, strict=True):
        result[column][score] = {**gaps[column][score], "p_holm": float(value)}
    return result


def table(found: dict[str, dict]) -> pd.DataFrame:
    """Return a row for each subgroup, with its numbers and plain scores."""
    rows = [
        {"column": column, "subgroup": name, **{key: v for key, v in scores.items() if not isinstance(v, dict)}}
        for column, each in found.items()
        for name, scores in each["values"].items()
    ]
    return pd.DataFrame(rows, columns=None if rows else ["column", "subgroup", "n", "n_groups", "too_few"])


def summary_line(gaps: dict[str, dict]) -> str:
    """Return the gap in balanced accuracy of a column, as one line for the log."""
    if not gaps:
        return "too few patients for a comparison"
    gap = gaps["balanced_accuracy"]
    interval = f"{gap['difference']:.3f} ({gap['difference_low']:.3f} to {gap['difference_high']:.3f})"
    return f"{gap['higher']} above {gap['lower']} by {interval}, Holm-corrected p = {gap['p_holm']:.3f}"


if __name__ == "__main__":
    run_stage(main, Settings)
