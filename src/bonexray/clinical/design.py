"""Clinical variables as numbers: imputed, coded and scaled by the training split alone."""

import numpy as np
import pandas as pd


def design(record: pd.DataFrame, train: np.ndarray) -> np.ndarray:
    """Return clinical variables as numbers with mean 0 and variance 1 over training.

    Missing numbers are replaced by the median of training, missing and new words by its most frequent word. If training
    has missing values, a column of 0 and 1 marks them. Words become a column of 0 and 1 for each value except the most
    frequent.

    Args:
        record: float columns, NaN where unknown, and columns of text, "" where unknown; a row for each image.
        train: bool (images,), True for the training split.

    Returns:
        Float (images, width).
    """
    columns = [column for name in record for column in _columns(record[name], train)]
    values = np.stack(columns, axis=1) if columns else np.zeros((len(record), 0))
    spread = values[train].std(axis=0)
    return (values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _columns(column: pd.Series, train: np.ndarray) -> list[np.ndarray]:
    if column.dtype.kind == "f":
        missing = column.isna().to_numpy()
        known = column[train].dropna()
        coded = [column.fillna(known.median() if len(known) else 0.0).to_numpy()]
    else:
        words = column.to_numpy()
        missing = words == ""
        counts = pd.Series(words[train & ~missing]).value_counts()
        order = sorted(counts.index, key=lambda word: (-counts[word], word))
        coded = [(words == word).astype(float) for word in order[1:]]
    return [*coded, missing.astype(float)] if missing[train].any() else coded
