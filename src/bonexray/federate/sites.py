"""Which site each image of a study belongs to: by a column of the record, or dealt for a rehearsal."""

import hashlib

import numpy as np
import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.data.record import read_record

UNKNOWN = ""


def sites_in_record(column: str, ids: pd.Series) -> np.ndarray:
    """Return the site of each image by a column of data/split/record.csv.

    Args:
        column: its name.
        ids: of the images.

    Returns:
        Object (images,), `UNKNOWN` where the record has no value.

    Raises:
        BonexrayError: the record has no such column.
    """
    record = read_record()
    if column not in record:
        raise BonexrayError(
            f"--column {column}",
            expected=f"a column of the record ({', '.join(record) or 'it has none'})",
            received="no such column",
            do="add it to dataset.columns, or deal the patients to sites with --deal",
        )
    values = record[column].loc[ids]
    if values.dtype.kind == "f":
        return np.array([UNKNOWN if np.isnan(value) else f"{value:g}" for value in values], dtype=object)
    return values.to_numpy(dtype=object)


def dealt_sites(groups: pd.Series, count: int) -> np.ndarray:
    """Return a site for each image, dealt by a hash of its patient, so that it stays when patients are added.

    Args:
        groups: the patient of each image.
        count: number of sites, whose expected sizes are as count, ..., 2, 1; at least 2.

    Returns:
        Object (images,): site_1, the largest, site_2 and so on.
    """
    if count < 2:
        raise BonexrayError("--deal", expected="at least 2 sites", received=count, do="correct the number")
    sizes = np.arange(count, 0, -1)
    ends = np.cumsum(sizes / sizes.sum())
    places = [int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64 for group in groups]
    numbers = np.minimum(np.searchsorted(ends, places, side="right"), count - 1)
    return np.array([f"site_{number + 1}" for number in numbers], dtype=object)
