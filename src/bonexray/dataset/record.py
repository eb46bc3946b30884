"""Take what is known of each image or patient from the rows of a table: age, sex, scanner and the like."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from bonexray.base.errors import BonexrayError
from bonexray.dataset.definition import require_no_definition
from bonexray.dataset.facts import HEADERS, judged
from bonexray.dataset.names import listed, tidied, tidied_number
from bonexray.dataset.rows import missing
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Source
from bonexray.dataset.table import Row, Table, read_table

UNKNOWN = "unknown"  # stands for no value, as an empty cell does
PATIENT = "patient"  # column of the patient where dataset.group_column names none


def table_facts(dataset: Dataset, sources: Sequence[Source], notes: list[str]) -> dict[str, list[str]]:
    """Return the columns of `dataset.facts` that the record's table has, each with a cell for each image.

    The table is `dataset.record`, or else `dataset.csv`. A row belongs to an image by the column of images, or else to all
    images of a patient by the column of patients; the patients are those that the dataset names, before copies unite them.

    Args:
        dataset: with the names of the columns.
        sources: images of the dataset.
        notes: takes how many images have no row.

    Returns:
        Column to text, in the order of the images; "" where the table has no value. Nothing without a table.

    Raises:
        BonexrayError: there is no such table, its rows name neither images nor patients, or two rows of one image differ.
    """
    name = dataset.record or dataset.csv
    if not dataset.facts or name is None:
        return {}
    what = "dataset.record" if dataset.record else "dataset.csv"
    if not Path(name).is_file():
        raise BonexrayError(what, expected="a CSV file", received=f"no such file: {name}", do=f"set {what}")
    patient = tidied(dataset.group_column or PATIENT)
    table = read_table(Path(name), [tidied(dataset.image_column), patient, *dataset.facts])
    columns = [column for column in dataset.facts if column in table.columns]
    key = _key(dataset, table, sources, patient)
    by_path = key != patient
    rows = _rows_by_key(table, key, columns, Path(dataset.root) if by_path else None)
    keys = _path_keys(sources, rows) if by_path else [tidied_number(source.group or "") for source in sources]
    values = [rows.get(own) for own in keys]
    if columns and not any(values):
        raise BonexrayError(
            f"{name}: column {key!r}",
            expected=f"{'patients' if key == patient else 'paths of images'} of the dataset",
            received="none of them",
            do=f"correct the column, or {what}",
        )
    if columns and (without := sum(row is None for row in values)):
        notes.append(f"{without} of {len(sources)} images have no row in {name}")
    return {column: [row[column] if row else "" for row in values] for column in columns}


def require_facts(dataset: Dataset, facts: Mapping[str, Sequence[str]], sources: Sequence[Source]) -> None:
    """Refuse columns that neither table nor headers can give, or that are unfit in the table; no image is read.

    Args:
        dataset: with the names of the columns.
        facts: what `table_facts` gives for these images.
        sources: images of the dataset.

    Raises:
        BonexrayError: a column is absent or unfit, see `judged`, or is named like what defines the class.
    """
    require_no_definition(dataset)
    name = dataset.record or dataset.csv
    if absent := [column for column in dataset.facts if column not in {*facts, *HEADERS}]:
        source = f"columns of {name}" if name else "a CSV as dataset.record, or headers of DICOM"
        raise BonexrayError(
            setting_of(dataset, absent[0]),
            expected=f"{source}{'' if name else ': ' + ', '.join(HEADERS)}",
            received=listed(absent),
            do="correct the names, or set dataset.record",
        )
    people = [source.group or source.path for source in sources]
    for column, values in facts.items():
        judged(setting_of(dataset, column), column, values, people, [])


def setting_of(dataset: Dataset, column: str) -> str:
    """Return the setting that names a column of the record."""
    return "dataset.columns" if column in dataset.columns else "dataset.clinical"


def _key(dataset: Dataset, table: Table, sources: Sequence[Source], patient: str) -> str:
    """Return the column of the table by which an image is found."""
    image = tidied(dataset.image_column)
    if image in table.columns:
        return image
    if patient in table.columns and any(source.group for source in sources):
        return patient
    raise BonexrayError(
        table.name,
        expected=f"a column {image!r} of images, or {patient!r} of the dataset's patients",
        received="no patients in the dataset" if patient in table.columns else "neither",
        do="set dataset.image_column, or dataset.group_column or dataset.group_pattern",
    )


def _rows_by_key(table: Table, key: str, columns: Sequence[str], root: Path | None) -> dict[str, dict[str, str]]:
    """Return the cells of each image below a root, or of each patient if there is no root; rows of one must not differ."""
    rows: dict[str, dict[str, str]] = {}
    lines: dict[str, list[int]] = defaultdict(list)
    for row in table.rows:
        own = _path_key(row.cells[key], root) if root else tidied_number(row.cells[key])
        if missing(own):
            continue
        lines[own].append(row.line)
        cells = _cells(row, columns)
        if differing := [name for name in columns if rows.setdefault(own, cells)[name] != cells[name]]:
            raise BonexrayError(
                f"{table.name}, lines {lines[own][0]} and {row.line}",
                expected=f"one value of {listed(differing)} for one {'image' if root else 'patient'}",
                received="two",
                do="correct the rows, or name the images in a column",
            )
    return rows


def _cells(row: Row, columns: Sequence[str]) -> dict[str, str]:
    cells = {name: tidied_number(row.cells[name]) for name in columns}
    return {name: "" if missing(cell) or cell.casefold() == UNKNOWN else cell for name, cell in cells.items()}


def _path_key(text: str, root: Path) -> str:
    """Return what spellings of a path below the root have in common."""
    path = Path(os.path.normpath(unicodedata.normalize("NFC", tidied(text)).replace("\\", "/")))
    if path.is_relative_to(root.absolute()):
        path = path.relative_to(root.absolute())
    return path.as_posix().casefold()


def _path_keys(sources: Sequence[Source], rows: Mapping[str, object]) -> list[str]:
    """Return the key of each image: its path, or its path without suffix if the table leaves it out."""
    keys = [unicodedata.normalize("NFC", source.path).casefold() for source in sources]
    stems = [str(PurePosixPath(key).with_suffix("")) for key in keys]
    images = {stem: len({*own}) for stem, own in _grouped(stems, keys).items()}
    return [stem if key not in rows and images[stem] == 1 else key for key, stem in zip(keys, stems, strict=True)]


def _grouped(names: Sequence[str], values: Sequence[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, value in zip(names, values, strict=True):
        groups[name].append(value)
    return groups
