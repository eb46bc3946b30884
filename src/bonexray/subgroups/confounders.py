"""Ask whether the scores of a model may be those of a column of the record, such as the scanner.

They may if three things hold: the features of the images tell the column whatever the class is, the column goes with the
class in training, and the score falls on test images in which it does not.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bonexray.evaluate.bootstrap import Draws, bounds, draw, resampled_metrics
from bonexray.evaluate.metrics import overall
from bonexray.evaluate.ranking_metrics import roc_area
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import SplitPredictions
from bonexray.subgroups.matching import effective_images, matched
from bonexray.subgroups.permutation import permuted
from bonexray.subgroups.values import UNKNOWN
from bonexray.train.regression import Labelled, best_of, fit_strengths, probabilities_of

FEWEST = 10  # training patients of a value, and matched test images
TOLD = 0.6  # lower end of the area from which features tell a column; 0.5 is chance
ALPHA = 0.05  # of the association in training
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # of the penalty, see `fit_strengths`
EXCHANGES = 1000
SCORE = "balanced_accuracy"


@dataclass(frozen=True, eq=False)
class Column:
    """A column of the record, for the images of the manifest.

    Args:
        manifest: one row for each image.
        labels: int (images,), the class.
        values: object (images,), the subgroup.
        names: of the subgroups; unknown values are a last one.
    """

    manifest: pd.DataFrame
    labels: np.ndarray
    values: np.ndarray
    names: list[str]


def confounding(
    column: Column, features: np.ndarray, test: SplitPredictions, classes: list[str], settings: Evaluate
) -> dict[str, object]:
    """Measure how far a column may explain the scores of a model.

    Args:
        column: the column.
        features: float (images, width), standardised.
        test: the model's predictions for the test images.
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed.

    Returns:
        `told_auc`, how well the features tell the column on test, and `told_matched_auc`, the same on matched images, each
        with `_low` and `_high`; `association_p` in training; `alone`, the balanced accuracy on test of the column alone,
        with `_low` and `_high`; `score` and `matched_score` of the model, and `fall` with `_low` and `_high`;
        `effective_n` of the matched images; `named`, 1 if the scores may be the column's; `inseparable`, 1 if the column
        goes with the class so closely that too few images can be matched. Nothing for a column with fewer than two values
        of `FEWEST` training patients and in test.
    """
    split = column.manifest["split"].to_numpy()
    known = _known(column, split)
    if len(known) < 2:
        return {}
    codes = pd.Series(column.values).map({name: code for code, name in enumerate(known)}).to_numpy(dtype=float)
    place = pd.Series(range(len(codes)), index=column.manifest["id"]).loc[test.rows["id"]].to_numpy()
    kept = np.isfinite(codes[place]) & (split[place] == "test")  # with folds, those of the first training
    place, labels, own = place[kept], test.labels[kept], codes[place[kept]].astype(int)
    draws = draw(test.groups[kept], settings.resamples, settings.seed)
    weighed = matched(draws, labels, own)
    effective = effective_images(weighed.weights[0])
    told = _told(features, codes, split, len(known))[place]
    alone = _alone(column.labels, codes, split, len(classes), len(known))[own]
    train = (split == "train") & np.isfinite(codes)
    answers = test.probabilities[kept]
    found = {
        **_with_ends("told_auc", _areas(told, own, draws), draws, settings.confidence),
        "association_p": _association(
            codes[train].astype(int), column.labels[train], column.manifest["group"][train], settings.seed
        ),
        **_with_ends("alone", _scores(labels, np.eye(len(classes))[alone], draws, classes), draws, settings.confidence),
        "effective_n": effective,
    }
    associated = found["association_p"] < ALPHA
    if effective < FEWEST:
        return {**found, "named": 0, "inseparable": int(associated and found["told_auc_low"] > TOLD)}
    before, after = (_scores(labels, answers, each, classes) for each in (draws, weighed))
    found |= {
        **_with_ends("told_matched_auc", _areas(told, own, weighed), draws, settings.confidence),
        "score": float(before[0]),
        "matched_score": float(after[0]),
        **_with_ends("fall", after - before, draws, settings.confidence),
    }
    named = associated and found["told_matched_auc_low"] > TOLD and found["fall_high"] < 0
    return {**found, "named": int(named), "inseparable": 0}


def _known(column: Column, split: np.ndarray) -> list[str]:
    """Return the values that can be learned in training and are in test."""
    groups = column.manifest["group"].to_numpy()
    train, test = split == "train", split == "test"
    return [
        name
        for name in column.names
        if name != UNKNOWN
        and len(np.unique(groups[train & (column.values == name)])) >= FEWEST
        and (test & (column.values == name)).any()
    ]


def _told(features: np.ndarray, codes: np.ndarray, split: np.ndarray, values: int) -> np.ndarray:
    """Fit the column to the features of training, and return its probabilities for all images, float (images, values)."""
    part = {name: np.flatnonzero((split == name) & np.isfinite(codes)) for name in ("train", "val")}
    data = {name: Labelled(features[rows], np.eye(values)[codes[rows].astype(int)]) for name, rows in part.items()}
    val = data["val"] if len(part["val"]) else data["train"]
    with threadpool_limits(1):  # faster for so little work, and the same digits on every machine
        fits = fit_strengths(data["train"], val, values, "balanced", STRENGTHS)
    return probabilities_of(best_of(fits).weights, features)


def _alone(labels: np.ndarray, codes: np.ndarray, split: np.ndarray, classes: int, values: int) -> np.ndarray:
    """Return for each value the class in which it has the largest share in training, int (values,)."""
    train = (split == "train") & np.isfinite(codes)
    counts = np.zeros((classes, values))
    np.add.at(counts, (labels[train], codes[train].astype(int)), 1)
    return (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).argmax(axis=0)


def _association(codes: np.ndarray, labels: np.ndarray, groups: pd.Series, seed: int) -> float:
    """Return the p value of the column's independence of the class, by exchanges of patients."""
    first = ~groups.duplicated().to_numpy()
    own, label = codes[first], labels[first]
    orders = permuted(own, np.zeros(len(own), int), np.arange(len(own)), EXCHANGES, seed)
    statistic = np.array([_chi_square(order, label) for order in orders])
    return float((statistic >= statistic[0] - 1e-9).mean())


def _chi_square(codes: np.ndarray, labels: np.ndarray) -> float:
    table = np.zeros((codes.max() + 1, labels.max() + 1))
    np.add.at(table, (codes, labels), 1)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(((table - expected) ** 2 / np.where(expected > 0, expected, 1)).sum())


def _areas(told: np.ndarray, codes: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the mean area of each value against the rest, float (rows,)."""
    weights = draws.weights.astype(float)
    return np.mean([roc_area(weights, codes == value, told[:, value]) for value in np.unique(codes)], axis=0)


def _scores(labels: np.ndarray, answers: np.ndarray, draws: Draws, classes: list[str]) -> np.ndarray:
    return resampled_metrics(labels, answers, draws, classes, metrics=[overall])[SCORE]


def _with_ends(name: str, values: np.ndarray, draws: Draws, confidence: float) -> dict[str, float]:
    low, high = bounds(values, draws, confidence)
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
