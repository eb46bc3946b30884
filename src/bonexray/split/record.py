"""Put together the record of the manifest's images, from a table or from DICOM headers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.dataset.facts import judged
from bonexray.dataset.record import setting_of
from bonexray.dataset.settings import Dataset
from bonexray.split.audit import AuditedImage
from bonexray.split.headers import numbered, read_headers

DICOM = "DICOM"


def record_of(
    dataset: Dataset,
    root: Path,
    images: Sequence[AuditedImage],
    facts: Mapping[str, Sequence[str]],
    manifest: pd.DataFrame,
    notes: list[str],
) -> pd.DataFrame:
    """Return the record: `id`, and each column of `dataset.facts`, in the order of the manifest.

    Args:
        dataset: with the names of the columns.
        root: folder of the dataset.
        images: all images of the dataset.
        facts: what `table_facts` gives for these images.
        manifest: rows of the images to keep.
        notes: takes how columns were read otherwise than written.

    Raises:
        BonexrayError: a column is unfit, see `judged`, or should come from headers and no image is DICOM.
    """
    from_headers = [name for name in dataset.facts if name not in facts]
    columns = {**facts, **_of_headers(root, images, from_headers)}
    record = pd.DataFrame({name: columns[name] for name in dataset.facts}, index=[item.source.path for item in images])
    record = record[~record.index.duplicated()].loc[manifest["path"]]
    people = list(manifest["group"])
    for name in dataset.facts:
        record[name] = judged(setting_of(dataset, name), name, list(record[name]), people, notes)
    return record.reset_index(drop=True).assign(id=list(manifest["id"]))[["id", *dataset.facts]]


def _of_headers(root: Path, images: Sequence[AuditedImage], names: Sequence[str]) -> dict[str, list[str]]:
    if not names:
        return {}
    if not any(item.file_format == DICOM for item in images):
        raise BonexrayError(
            "dataset.record",
            expected=f"a CSV file with the columns {', '.join(names)}, since no image is DICOM",
            received="null",
            do="set dataset.record, or leave the columns out",
        )
    empty = dict.fromkeys(names, "")
    rows = [read_headers(root / item.source.path, names) if item.file_format == DICOM else empty for item in images]
    columns = {name: [row[name] for row in rows] for name in names}
    return {name: numbered(values, "site") if name == "site" else values for name, values in columns.items()}
