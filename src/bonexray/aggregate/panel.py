"""The study's models as one panel: ensembles fitted on validation, every pair compared, ranks over folds or repeats."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bonexray.aggregate.comparison import compare_pairs
from bonexray.aggregate.ensembles import fit_ensemble
from bonexray.aggregate.friedman import Ranks, compare_ranks
from bonexray.data.manifest import class_numbers
from bonexray.errors import BonexrayError
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.evaluation import scores_of_trainings
from bonexray.evaluate.settings import Evaluate
from bonexray.evaluate.split_predictions import predictions_in

PREFIX = "ensemble_"
SAME = ["repeat", "fold", "id", "split", "label"]


@dataclass(frozen=True, eq=False)
class Panel:
    """The predictions of several models for the same images and trainings.

    Args:
        rows: as `read_predictions` gives them.
        probabilities: of each model, float (rows, classes).
    """

    rows: pd.DataFrame
    probabilities: dict[str, np.ndarray]

    def with_members(self, more: Mapping[str, np.ndarray]) -> "Panel":
        """The same panel with further members."""
        return Panel(self.rows, {**self.probabilities, **more})


def panel_of(predictions: Mapping[str, tuple[pd.DataFrame, np.ndarray]]) -> Panel:
    """Several models' predictions side by side.

    Raises:
        BonexrayError: two models answered to other images or splits.
    """
    (first, (rows, _)), *others = predictions.items()
    for name, (theirs, _) in others:
        if not theirs[SAME].equals(rows[SAME]):
            raise BonexrayError(
                f"the predictions of {name}",
                expected=f"the images and splits of {first}",
                received="others",
                do="run `dvc repro`, which trains what is out of date",
            )
    return Panel(rows, {name: values for name, (_, values) in predictions.items()})


def ensemble(kind: str, panel: Panel, classes: list[str]) -> tuple[np.ndarray, dict[str, dict[str, object]]]:
    """An ensemble of the panel's members, fitted for each repeat and fold on the validation images of that training.

    Args:
        kind: one of `ENSEMBLES`.
        panel: its members.
        classes: the class map.

    Returns:
        Probabilities for every row, float (rows, classes), and what was fitted for each training.
    """
    members = np.stack(list(panel.probabilities.values()))
    found, fitted = np.zeros(members.shape[1:]), {}
    for (repeat, fold), block in panel.rows.groupby(["repeat", "fold"], sort=False):
        mine = block.index.to_numpy()
        val = mine[(block["split"] == "val").to_numpy()]
        rows = panel.rows.loc[val]
        made = fit_ensemble(kind, class_numbers(rows["label"], classes), rows["group"].to_numpy(), members[:, val])
        found[mine] = made.answer(members[:, mine])
        fitted[f"repeat {repeat}, fold {fold}"] = made.parameters
    return found, fitted


def pairs_of(panel: Panel, classes: list[str], settings: Evaluate) -> pd.DataFrame:
    """Every pair of members on the test images of the first repeat: see `compare_pairs`."""
    tested = {name: predictions_in(panel.rows, values, classes, "test") for name, values in panel.probabilities.items()}
    one = next(iter(tested.values()))
    draws = draw(one.groups, settings.resamples, settings.seed)
    models = {name: answers.probabilities for name, answers in tested.items()}
    return compare_pairs(one.labels, draws, models, classes, settings.confidence)


def ranks_of(panel: Panel, classes: list[str]) -> Ranks | None:
    """The members' ranks over folds and repeats; None where there is one training a model."""
    scores = {name: scores_of_trainings(panel.rows, values, classes) for name, values in panel.probabilities.items()}
    return compare_ranks(pd.DataFrame(scores))
