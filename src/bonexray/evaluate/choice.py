"""The choice of a model, on validation: a choice on test would make its test score too good."""

from collections.abc import Mapping

from bonexray.registry import BASELINES


def chosen_on_validation(models: Mapping[str, Mapping[str, float]]) -> str:
    """Return the best model on validation, by balanced accuracy, then log loss; a collapsed one only if all are."""
    return min(
        models,
        key=lambda name: (
            models[name]["val_collapsed"],
            -models[name]["val_balanced_accuracy"],
            models[name]["val_log_loss"],
            name,
        ),
    )


def candidates_of(models: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """Return the models that can be chosen: the networks; in a study of baselines alone, the baselines."""
    return {name: scores for name, scores in models.items() if name not in BASELINES} or dict(models)
