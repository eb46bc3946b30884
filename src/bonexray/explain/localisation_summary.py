"""The localisation of all models in one table: means over test images with intervals by patient, and references."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bonexray.evaluate.bootstrap import Draws, bounds, draw
from bonexray.evaluate.settings import Evaluate
from bonexray.explain.localisation_files import RANDOM, TITLES
from bonexray.explain.localisation_scores import OUTLINE_SCORES, SCORES, best_thresholds
from bonexray.explain.located import Located

_SCORES = (*SCORES, *OUTLINE_SCORES)


def summarise(located: Located, tables: Mapping[str, pd.DataFrame], settings: Evaluate) -> dict[str, object]:
    """Return the mean of each score with its interval, and by how much the pointing game exceeds each reference.

    Args:
        located: the images with regions.
        tables: model to the rows of `localise`.
        settings: resamples, confidence and seed of the bootstrap.

    Returns:
        images, patients, outlined (images with an outline), confidence; `kinds`: kind of map to its title; `references`: name to scores; `models`: model to kind of map to scores and, as
        `above_<reference>`, the difference of the pointing game with its interval.
    """
    draws = draw(located.rows.loc[located.is_test, "group"].to_numpy(), settings.resamples, settings.seed)
    references = {
        name: {
            key: values[located.is_test] for key, values in scores.at(best_thresholds(scores, ~located.is_test)).items()
        }
        for name, scores in located.references().items()
    }
    models = {}
    for model, table in tables.items():
        kinds = dict(list(table.groupby("method", sort=False)))
        against = {name: part["pointing"] for name, part in references.items()}
        against[RANDOM] = kinds[RANDOM]["pointing"].to_numpy()
        models[model] = {
            method: _means({key: rows[key].to_numpy() for key in _SCORES}, draws, settings.confidence)
            | ({} if method == RANDOM else _above(rows["pointing"].to_numpy(), against, draws, settings.confidence))
            for method, rows in kinds.items()
        }
    return {
        "images": int(located.is_test.sum()),
        "patients": draws.groups,
        "outlined": int(located.has_outline[located.is_test].sum()),
        "confidence": settings.confidence,
        "kinds": TITLES,
        "references": {name: _means(part, draws, settings.confidence) for name, part in references.items()},
        "models": models,
    }


def _means(scores: Mapping[str, np.ndarray], draws: Draws, confidence: float) -> dict[str, float]:
    """Return the mean of each score over the images that have it, with its interval; none if no image has it."""
    found = {}
    for name, values in scores.items():
        if not np.isnan(values).all():
            found |= _with_interval(name, values, draws, confidence)
    return found


def _above(
    values: np.ndarray, references: Mapping[str, np.ndarray], draws: Draws, confidence: float
) -> dict[str, float]:
    found = {}
    for name, others in references.items():
        found |= _with_interval(f"above_{name}", values - others, draws, confidence)
    return found


def _with_interval(name: str, values: np.ndarray, draws: Draws, confidence: float) -> dict[str, float]:
    known, weights = ~np.isnan(values), draws.weights.astype(float)
    counts = weights[:, known].sum(axis=1)
    sums = weights[:, known] @ values[known]
    means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    low, high = bounds(means, draws, confidence)
    return {name: float(means[0]), f"{name}_low": float(low), f"{name}_high": float(high)}
