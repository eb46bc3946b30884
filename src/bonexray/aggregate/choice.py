"""The choice of a model by each fold on its own validation images, and the predictions of the chosen models."""

from collections.abc import Mapping

import numpy as np

from bonexray.aggregate.comparison import differences_from
from bonexray.aggregate.panel import Panel, pairs_of
from bonexray.evaluate.choice import chosen_on_validation
from bonexray.evaluate.metrics import all_metrics, collapsed
from bonexray.evaluate.repeats import each_repeat, mean_scores
from bonexray.evaluate.settings import Evaluate

CHOICE = "choice of each fold"


def chosen_by_fold(panel: Panel, classes: list[str]) -> dict[int, str]:
    """Return the model that each fold chooses, by `chosen_on_validation`, on the mean scores of its repeats.

    A fold sees only the validation images of its own training. Over all folds every image is a validation image and a
    test image, so a choice over all of them would be a choice on test.

    References:
        Varma and Simon, Bias in Error Estimation When Using Cross-Validation for Model Selection, BMC Bioinformatics 7,
        2006.
    """
    chosen = {}
    for fold in sorted(set(panel.rows["fold"])):
        mine = (panel.rows["fold"] == fold).to_numpy()
        rows = panel.rows[mine].reset_index(drop=True)
        scores = {}
        for name, probabilities in panel.probabilities.items():
            repeats = each_repeat(rows, probabilities[mine], classes, "val")
            means = mean_scores([all_metrics(val.labels, val.probabilities, classes) for val in repeats])
            scores[name] = {
                "val_collapsed": int(all(collapsed(val.probabilities) for val in repeats)),
                **{f"val_{score}": means[score] for score in ("balanced_accuracy", "log_loss")},
            }
        chosen[int(fold)] = chosen_on_validation(scores)
    return chosen


def predictions_of_choice(panel: Panel, chosen: Mapping[int, str]) -> np.ndarray:
    """Return for every row the probabilities of the model that its fold chose, float (rows, classes)."""
    members = np.stack([panel.probabilities[name] for name in chosen.values()])
    positions = {fold: index for index, fold in enumerate(chosen)}
    return members[panel.rows["fold"].map(positions).to_numpy(), np.arange(len(panel.rows))]


def choice_against(
    baseline: str, panel: Panel, predictions: np.ndarray, classes: list[str], settings: Evaluate
) -> dict[str, float]:
    """Compare the choices of all folds with a baseline, as `differences_from` does for a model.

    A model that is chosen over all folds is chosen on test, and so would be its difference.

    Args:
        baseline: a member of the panel.
        panel: rows of all trainings.
        predictions: result of `predictions_of_choice`.
        classes: names of the classes.
        settings: unit, resamples and confidence.
    """
    compared = panel.only([baseline]).with_members({CHOICE: predictions}).in_unit(settings.unit)
    pairs = pairs_of(compared, classes, settings.model_copy(update={"primary": None}))
    return differences_from(pairs, baseline)[CHOICE]
