"""The models of a learning curve: linear heads on cached features, and the numbers of the texture baseline."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler

from bonexray.aggregate.frozen_features import features_of
from bonexray.data.paths import NUMBERS, model_folder
from bonexray.evaluate.choice import chosen_on_validation
from bonexray.evaluate.metrics import collapsed
from bonexray.learning_curve.scoring import Judged
from bonexray.networks.scaling import mean_and_std
from bonexray.networks.settings import LINEAR
from bonexray.registry import BACKBONES, BASELINE, FROZEN
from bonexray.train.regression import Labelled, best_of, fit_strengths, probabilities_of

TEXTURE = "texture"


@dataclass(frozen=True, eq=False)
class Learner:
    """A linear model and what it learns from.

    Attributes:
        name: of the model.
        card: content of its model.json: mode, classes, and the settings of its training.
        features: float64 (images, width), in the order of the manifest.
    """

    name: str
    card: Mapping[str, object]
    features: np.ndarray

    def answers(
        self, train: np.ndarray, train_labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray
    ) -> np.ndarray:
        """Fit the model as the stage `train` does, with a penalty chosen on validation, and predict all images.

        Args:
            train: indices of the training images.
            train_labels: int (training images,), their classes.
            val: indices of the validation images.
            val_labels: int (validation images,), their classes.

        Returns:
            Float (images, classes), probabilities.
        """
        settings, classes = self.card["train"], len(self.card["classes"])
        scaled = self._scaled(train)
        parts = (
            Labelled(scaled[rows], np.eye(classes)[labels])
            for rows, labels in ((train, train_labels), (val, val_labels))
        )
        output = settings.get("output", "softmax")  # a baseline has no other
        class_weight = "balanced" if settings["class_weights"] == "balanced" else None
        best = best_of(fit_strengths(*parts, classes, class_weight, output=output))
        return probabilities_of(best.weights, scaled, output)

    def _scaled(self, train: np.ndarray) -> np.ndarray:
        """Return all features, standardised by the training images as the model's own training does it."""
        if self.card["mode"] == BASELINE:
            return StandardScaler().fit(self.features[train]).transform(self.features)
        if not self.card["train"]["standardize"]:
            return self.features
        mean, std = (part.astype(np.float32).astype(np.float64) for part in mean_and_std([self.features[train]]))
        return (self.features - mean) / std  # by 32-bit statistics, as the weights file of the head keeps them


def open_learners(names: list[str], cards: Mapping[str, Mapping]) -> list[Learner]:
    """Return the named models with the features that they learn from.

    Args:
        names: from `names_of_learners`.
        cards: model to the content of its model.json.
    """
    return [Learner(name, cards[name], _inputs(cards[name])) for name in names]


def names_of_learners(cards: Mapping[str, Mapping], validation: Mapping[str, Judged]) -> list[str]:
    """Choose the models of the curve.

    Args:
        cards: model to the content of its model.json.
        validation: model to its predictions on validation.

    Returns:
        The best linear head on a single frozen backbone on validation, its control with random weights if the study
        has one, and the texture baseline; the baseline alone if the study has no such head.
    """
    heads = {name: next(iter(card["backbones"])) for name, card in cards.items() if _is_linear_head(card)}
    if not heads:
        return [TEXTURE]
    best = chosen_on_validation({name: _scores(validation[name]) for name in heads})
    controls = [name for name, backbone in heads.items() if BACKBONES[backbone].control_of == heads[best]]
    return [best, *controls, TEXTURE]


def _is_linear_head(card: Mapping[str, object]) -> bool:
    return card["mode"] == FROZEN and len(card["backbones"]) == 1 and card["train"]["head"] == LINEAR


def _inputs(card: Mapping[str, object]) -> np.ndarray:
    if card["mode"] == BASELINE:
        return np.load(model_folder(card["model"]) / NUMBERS)
    return features_of(card)


def _scores(val: Judged) -> dict[str, float]:
    scores = val.scores()
    return {
        "val_collapsed": int(collapsed(val.own.probabilities)),
        **{f"val_{score}": scores[score] for score in ("balanced_accuracy", "log_loss")},
    }
