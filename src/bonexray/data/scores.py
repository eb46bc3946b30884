"""Scores of models and ensembles in one mapping."""

from collections.abc import Mapping

PREFIX = "ensemble_"  # of the name of an ensemble


def all_scores(models: Mapping[str, Mapping], ensembles: Mapping[str, Mapping]) -> dict[str, dict]:
    """Return the scores of every model and ensemble, by name.

    Args:
        models: the content of metrics/models.json.
        ensembles: the content of metrics/ensembles.json.
    """
    return {**models, **{name: ensemble["scores"] for name, ensemble in ensembles.items() if "scores" in ensemble}}


def collapse_of(scores: Mapping[str, object]) -> str:
    """Return in words how a model collapsed, from its scores; empty if it did not."""
    if scores.get("collapsed"):
        return "one class for every image"
    return "one class for all test images of a training, or all but one" if scores.get("nearly_collapsed") else ""
