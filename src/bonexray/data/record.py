"""The record: what is known of each image or patient beside the pixels, one row for each image of the manifest."""

from pathlib import Path

import pandas as pd

from bonexray.base.files import atomic_file
from bonexray.data.paths import RECORD


def write_record(columns: pd.DataFrame) -> None:
    """Write the record.

    Args:
        columns: `id`, and a column of text for each fact; "" where it is unknown.
    """
    with atomic_file(RECORD) as partial:
        columns.to_csv(partial, index=False, lineterminator="\n")


def read_record(path: Path = RECORD) -> pd.DataFrame:
    """Return the record by `id`: float columns, NaN where unknown, and columns of text, "" where unknown."""
    record = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("id")
    for name in record:
        numbers = pd.to_numeric(record[name].replace("", None), errors="coerce")
        if numbers.notna().equals(record[name] != ""):
            record[name] = numbers.astype(float)
    return record
