"""The models of a study as one panel: ensembles, comparison of pairs, ranks over folds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.aggregate.comparison import compare_pairs
from bonexray.aggregate.ensembles import fit_ensemble, held_out_predictions
from bonexray.aggregate.friedman import Ranks, compare_ranks
from bonexray.aggregate.grades import compare_grades
from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import class_numbers
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.evaluation import scores_of_trainings
from bonexray.evaluate.patients import by_patient
from bonexray.evaluate.repeats import each_repeat
from bonexray.evaluate.settings import Evaluate

KEYS = ["repeat", "fold", "id", "split", "label"]


@dataclass(frozen=True, eq=False)
class Panel:
    """Predictions of several models for the same images and trainings.

    Args:
        rows: rows of `read_predictions`.
        probabilities: model to float (rows, classes).
    """

    rows: pd.DataFrame
    probabilities: dict[str, np.ndarray]

    def with_members(self, more: Mapping[str, np.ndarray]) -> "Panel":
        """Return the panel with further members."""
        return Panel(self.rows, {**self.probabilities, **more})

    def only(self, names: Iterable[str]) -> "Panel":
        """Return the panel of some members."""
        return Panel(self.rows, {name: self.probabilities[name] for name in names})

    def in_unit(self, unit: str) -> "Panel":
        """Return the panel with one row for each `image` (itself) or `patient`; see `by_patient`."""
        if unit == "image":
            return self
        each = {name: by_patient(self.rows, values) for name, values in self.probabilities.items()}
        return Panel(next(iter(each.values()))[0], {name: values for name, (_, values) in each.items()})


def panel_of(predictions: Mapping[str, tuple[pd.DataFrame, np.ndarray]]) -> Panel:
    """Return the panel of several models' predictions.

    Raises:
        BonexrayError: two models have predictions for different images or splits.
    """
    (first, (rows, _)), *others = predictions.items()
    for name, (other, _) in others:
        if not other[KEYS].equals(rows[KEYS]):
            raise BonexrayError(
                f"the predictions of {name}",
                expected=f"the images and splits of {first}",
                received="different ones",
                do="run `dvc repro`, which trains outdated models again",
            )
    return Panel(rows, {name: values for name, (_, values) in predictions.items()})


def ensemble(kind: str, panel: Panel, classes: list[str]) -> tuple[np.ndarray, dict[str, dict[str, object]]]:
    """Fit an ensemble of the panel's members for each repeat and fold, on the validation images of that training.

    Args:
        kind: name in `ENSEMBLES`.
        panel: members of the ensemble.
        classes: names of the classes.

    Returns:
        Probabilities for every row, float (rows, classes), those of validation images from fits without their group;
        and the fitted parameters of each training.
    """
    members = np.stack(list(panel.probabilities.values()))
    probabilities, parameters = np.zeros(members.shape[1:]), {}
    for (repeat, fold), block in panel.rows.groupby(["repeat", "fold"], sort=False):
        rows = block.index.to_numpy()
        val = block[block["split"] == "val"]
        known = class_numbers(val["label"], classes), val["group"].to_numpy(), members[:, val.index.to_numpy()]
        fitted = fit_ensemble(kind, *known)
        probabilities[rows] = fitted.predict(members[:, rows])
        probabilities[val.index.to_numpy()] = held_out_predictions(kind, *known)
        parameters[f"repeat {repeat}, fold {fold}"] = fitted.parameters
    return probabilities, parameters


def pairs_of(panel: Panel, classes: list[str], settings: Evaluate, ordered: bool = False) -> pd.DataFrame:
    """Compare every pair of members on the test images, over all repeats; see `compare_pairs`, and `compare_grades`."""
    tests = {name: each_repeat(panel.rows, p, classes, "test") for name, p in panel.probabilities.items()}
    first = next(iter(tests.values()))[0]
    draws = draw(first.groups, settings.resamples, settings.seed)
    models = {name: np.stack([repeat.probabilities for repeat in repeats]) for name, repeats in tests.items()}
    pairs = compare_pairs(first.labels, draws, models, classes, settings.confidence, settings.primary or ())
    return compare_grades(pairs, first.labels, draws, models, classes, settings.confidence) if ordered else pairs


def ranks_of(panel: Panel, classes: list[str]) -> Ranks | None:
    """Rank the members over folds, by means over repeats; None with a single split.

    Repeats of one split do not count as blocks, because they share their test images.
    """
    scores = {name: scores_of_trainings(panel.rows, values, classes) for name, values in panel.probabilities.items()}
    return compare_ranks(pd.DataFrame(scores).groupby(level=1).mean())
