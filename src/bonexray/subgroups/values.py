"""Turn a column of the record into the names of subgroups: words, bands of age, or thirds of other numbers."""

import re

import numpy as np
import pandas as pd

UNKNOWN = "unknown"
FEW_VALUES = 5  # in a column with at most so many different numbers, such as grades, each number is a subgroup
BANDS = {"under 40": 0.0, "40 to 59": 40.0, "60 to 74": 60.0, "75 and over": 75.0}  # band to the age at which it begins
_AGE = re.compile(r"(patient)?age(in)?(years)?")


def subgroups_of(name: str, column: pd.Series, learns: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the subgroup of each image.

    Args:
        name: of the column; a column named like age has bands of years.
        column: float, NaN where unknown, or text, "" where unknown.
        learns: bool (images,), True for images of the training split, whose tertiles divide other numbers.

    Returns:
        Object (images,), `UNKNOWN` where the record has no value; and the names that occur, in order, `UNKNOWN` last.
    """
    if column.dtype.kind != "f":
        words = column.where(column != "", UNKNOWN).to_numpy(dtype=object)
        counts = pd.Series(words).value_counts()
        order = sorted(counts.index, key=lambda word: (-counts[word], word))
    elif _AGE.fullmatch(re.sub(r"[\W_]+", "", name.casefold())):
        words, order = _cut(column, list(BANDS.values())[1:], list(BANDS)), list(BANDS)
    elif column.nunique() <= FEW_VALUES:
        words = np.array([UNKNOWN if np.isnan(value) else f"{value:g}" for value in column], dtype=object)
        order = [f"{value:g}" for value in sorted(column.dropna().unique())]
    else:
        low, high = np.nanquantile(column[learns], [1 / 3, 2 / 3])
        order = [f"under {low:.4g}", f"{low:.4g} to {high:.4g}", f"{high:.4g} and over"]
        words = _cut(column, [low, high], order)
    present = set(words)
    return words, [word for word in order if word in present and word != UNKNOWN] + [UNKNOWN] * (UNKNOWN in present)


def _cut(column: pd.Series, edges: list[float], names: list[str]) -> np.ndarray:
    words = np.array(names, dtype=object)[np.digitize(column, edges)]
    return np.where(column.isna(), UNKNOWN, words).astype(object)
