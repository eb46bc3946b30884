"""Test whether a column of the record, such as the scanner, may explain the scores of a model.

It may if three things hold: the features of images predict the column even where it is independent of the class, column
and class are associated in training, and the score falls on test images in which they are independent.
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

FEWEST = 10  # smallest number of training patients of a value, and of matched test images
TOLD = 0.6  # features predict a column if the interval of the ROC area lies above this; 0.5 is chance
ALPHA = 0.05  # significance level of the association in training
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
        names: names of the subgroups; `UNKNOWN` is the last if there are unknown values.
    """

    manifest: pd.DataFrame
    labels: np.ndarray
    values: np.ndarray
    names: list[str]


def confounding(
    column: Column, features: np.ndarray, test: SplitPredictions, classes: list[str], settings: Evaluate
) -> dict[str, object]:
    """Measure whether a column may explain the scores of a model.

    Args:
        column: the column.
        features: float (images, width), standardised.
        test: the model's predictions for the test images.
        classes: names of the classes.
        settings: bootstrap resamples, confidence and seed.

    Returns:
        `told_auc`, how well the features predict the column on test, and `told_matched_auc`, the same on matched
        images, each with `_low` and `_high`; `association_p`, of column and class in training; `alone`, the balanced
        accuracy on test of predicting the class from the column alone, with `_low` and `_high`; `score` and
        `matched_score` of the model, and `fall`, the second minus the first, with `_low` and `_high`; `effective_n` of
        the matched images; `named`, 1 if the column may explain the scores; `inseparable`, 1 if column and class are so
        closely associated that too few images can be matched. Empty if fewer than two values have `FEWEST` training
        patients and a test image.
    """
    split = column.manifest["split"].to_numpy()
    names = _tested_values(column, split)
    if len(names) < 2:
        return {}
    codes = pd.Series(column.values).map({name: code for code, name in enumerate(names)}).to_numpy(dtype=float)
    rows = pd.Series(range(len(codes)), index=column.manifest["id"]).loc[test.rows["id"]].to_numpy()
    kept = np.isfinite(codes[rows]) & (split[rows] == "test")  # with folds, those of the first training
    rows, labels, test_codes = rows[kept], test.labels[kept], codes[rows[kept]].astype(int)
    draws = draw(test.groups[kept], settings.resamples, settings.seed)
    matched_draws = matched(draws, labels, test_codes)
    effective = effective_images(matched_draws.weights[0])
    told = _told(features, codes, split, len(names))[rows]
    alone = _alone(column.labels, codes, split, len(classes), len(names))[test_codes]
    train = (split == "train") & np.isfinite(codes)
    probabilities = test.probabilities[kept]
    results = {
        **_with_ends("told_auc", _areas(told, test_codes, draws), draws, settings.confidence),
        "association_p": _association(
            codes[train].astype(int), column.labels[train], column.manifest["group"][train], settings.seed
        ),
        **_with_ends("alone", _scores(labels, np.eye(len(classes))[alone], draws, classes), draws, settings.confidence),
        "effective_n": effective,
    }
    associated = results["association_p"] < ALPHA
    if effective < FEWEST:
        return {**results, "named": 0, "inseparable": int(associated and results["told_auc_low"] > TOLD)}
    before, after = (_scores(labels, probabilities, each, classes) for each in (draws, matched_draws))
    results |= {
        **_with_ends("told_matched_auc", _areas(told, test_codes, matched_draws), draws, settings.confidence),
        "score": float(before[0]),
        "matched_score": float(after[0]),
        **_with_ends("fall", after - before, draws, settings.confidence),
    }
    named = associated and results["told_matched_auc_low"] > TOLD and results["fall_high"] < 0
    return {**results, "named": int(named), "inseparable": 0}


def _tested_values(column: Column, split: np.ndarray) -> list[str]:
    """Return the values with at least `FEWEST` training patients that also occur in test."""
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
    """Fit the column to training features, and return its probabilities for all images, float (images, values)."""
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
    """Return the p value of the association of column and class, by permutation of patients."""
    first = ~groups.duplicated().to_numpy()
    codes, labels = codes[first], labels[first]
    orders = permuted(codes, np.zeros(len(codes), int), np.arange(len(codes)), EXCHANGES, seed)
    statistic = np.array([_chi_square(order, labels) for order in orders])
    return float((statistic >= statistic[0] - 1e-9).mean())


def _chi_square(codes: np.ndarray, labels: np.ndarray) -> float:
    table = np.zeros((codes.max() + 1, labels.max() + 1))
    np.add.at(table, (codes, labels), 1)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(((table - expected) ** 2 / np.where(expected > 0, expected, 1)).sum())


def _areas(told: np.ndarray, codes: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the mean ROC area of each value against the rest, float (rows of the draws,)."""
    weights = draws.weights.astype(float)
    return np.mean([roc_area(weights, codes == value, told[:, value]) for value in np.unique(codes)], axis=0)


def _scores(labels: np.ndarray, probabilities: np.ndarray, draws: Draws, classes: list[str]) -> np.ndarray:
    return resampled_metrics(labels, probabilities, draws, classes, metrics=[overall])[SCORE]


def _with_ends(name: str, values: np.ndarray, draws: Draws, confidence: float) -> dict[str, float]:
    low, high = bounds(values, draws, confidence)
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
