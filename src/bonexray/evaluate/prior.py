"""The prior that probabilities assume: how common each class is before an image is seen."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import class_numbers

Learned = Literal["uniform", "train", "val"]  # equal shares, or the class shares of a split
SMALLEST = np.finfo(float).eps  # avoids the logarithm of 0, as in the log loss


def learned_prior(cards: Mapping[str, Mapping[str, object]]) -> Learned:
    """Return the prior that the loss of some models had: equal shares with balanced class weights, else training's.

    This holds for every output: a class weight multiplies an image's whole log loss, also that of an ordered class, so
    the probabilities are those of a population with other class shares, whatever form they have.

    Args:
        cards: model to the content of its model.json; at least one.

    Raises:
        BonexrayError: some were trained with class weights and some without, so that their probabilities do not
            combine.
    """
    weights = {name: str(card["train"]["class_weights"]) for name, card in cards.items()}
    if len(set(weights.values())) > 1:
        raise BonexrayError(
            "class weights of the models",
            expected="the same for all models of a study",
            received=", ".join(f"{name}: {kind}" for name, kind in weights.items()),
            do="run `dvc repro`, which trains outdated models again",
        )
    return "uniform" if "balanced" in weights.values() else "train"


def corrected(
    rows: pd.DataFrame,
    probabilities: np.ndarray,
    classes: list[str],
    learned: Learned,
    prevalence: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Return the probabilities under the prior of training, or under a stated prevalence.

    Each probability is multiplied by the ratio of the wanted to the learned prior of its class, and each row is divided
    by its sum, fold by fold. Where both priors are equal, the probabilities are returned as they are. A class without
    training images has no learned prior and keeps its factor of 1.

    Args:
        rows: rows of `read_predictions`: all images of every training.
        probabilities: float (rows, classes), the model's own.
        classes: names of the classes.
        learned: the prior that the model has learned.
        prevalence: share of each class; None takes the shares of training.

    References:
        Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001. Saerens, Latinne and Decaestecker, Adjusting the
        Outputs of a Classifier to New a Priori Probabilities, Neural Computation 14, 2002.
    """
    if learned == "train" and prevalence is None:
        return probabilities
    values = probabilities.copy()
    for _, block in rows.groupby(["repeat", "fold"], sort=False):
        wanted = _wanted(block, classes, prevalence)
        assumed = _learned(block, classes, learned)
        defined = (assumed > 0) & (wanted > 0)
        factor = np.where(defined, wanted / np.where(defined, assumed, 1), 1.0)
        if not np.allclose(factor, factor[0], rtol=1e-12):
            weighted = probabilities[block.index] * factor
            values[block.index] = weighted / weighted.sum(axis=1, keepdims=True)
    return values


def no_skill_log_loss(
    rows: pd.DataFrame,
    test: pd.DataFrame,
    classes: list[str],
    prevalence: Mapping[str, float] | None = None,
) -> float:
    """Return the log loss of predicting, for every image, the prior that corrected probabilities assume.

    A model above it would do better to ignore the image.

    Args:
        rows: rows of `read_predictions`.
        test: the rows to score, each with the prior of its own repeat and fold.
        classes: names of the classes.
        prevalence: share of each class; None takes the shares of training.
    """
    priors = {run: _wanted(block, classes, prevalence) for run, block in rows.groupby(["repeat", "fold"], sort=False)}
    labels = class_numbers(test["label"], classes)
    runs = zip(test["repeat"], test["fold"], strict=True)
    of_truth = [priors[run][label] for run, label in zip(runs, labels, strict=True)]
    return float(-np.log(np.clip(of_truth, SMALLEST, 1 - SMALLEST)).mean())


def _wanted(block: pd.DataFrame, classes: list[str], prevalence: Mapping[str, float] | None) -> np.ndarray:
    return _shares(block, classes, "train") if prevalence is None else np.array([prevalence[name] for name in classes])


def _learned(block: pd.DataFrame, classes: list[str], learned: Learned) -> np.ndarray:
    if learned == "uniform":
        present = _shares(block, classes, "train") > 0
        return present / present.sum()
    return _shares(block, classes, learned)


def _shares(block: pd.DataFrame, classes: list[str], split: str) -> np.ndarray:
    labels = class_numbers(block.loc[block["split"] == split, "label"], classes)
    return np.bincount(labels, minlength=len(classes)) / len(labels)
