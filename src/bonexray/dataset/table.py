"""Read a CSV file as text, in the encodings and with the separators that spreadsheets write."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import tidied

SEPARATORS = (",", ";", "\t", "|")
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_OTHER_FORMATS = {b"PK\x03\x04": "an Excel workbook or another zip file", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        line: its line in the file, from 1.
        cells: column to text, as written; missing cells are empty.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        name: of the file, for messages.
        columns: without spaces at their ends, in Unicode's composed form; a column without a name is "".
        rows: those that are not blank.
    """

    name: str
    columns: list[str]
    rows: list[Row]


def read_table(path: Path, wanted: Sequence[str]) -> Table:
    """Read a CSV file in UTF-8 or UTF-16; the separator is the one that gives most of the wanted columns.

    Args:
        path: of the file.
        wanted: columns that are expected.

    Raises:
        BonexrayError: it is not text, a row has more cells than the header, or a wanted column is there twice.
    """
    lines = _decoded(path).splitlines(keepends=True)
    start = 0
    if lines and lines[0].strip().lower().startswith("sep=") and len(lines[0].strip()) == 5:
        start = 1  # a hint for Excel
    separator = lines[0].strip()[-1] if start else _separator(lines[0] if lines else "", wanted)
    try:
        return _parsed(str(path), lines[start:], separator, start, wanted)
    except csv.Error as error:
        raise BonexrayError(
            str(path), expected="a CSV file", received=str(error), do="save it as CSV in UTF-8"
        ) from None


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    for start, kind in _OTHER_FORMATS.items():
        if content.startswith(start):
            raise BonexrayError(str(path), expected="a CSV file", received=kind, do="save the sheet as CSV in UTF-8")
    encoding = next((name for bom, name in _BOMS.items() if content.startswith(bom)), None)
    if encoding is None and (nulls := content[:400].count(0)) and nulls >= len(content[:400]) // 4:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        received = f"byte {error.object[error.start]:#x}"
        raise BonexrayError(str(path), expected="UTF-8 text", received=received, do="save it as UTF-8") from None


def _separator(header: str, wanted: Sequence[str]) -> str:
    """Return the separator that gives most of the wanted columns, or else most columns."""

    def columns(separator: str) -> tuple[int, int]:
        names = [tidied(name) for name in next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])]
        return len(set(names) & set(wanted)), len(names)

    return max(SEPARATORS, key=columns)  # the first of equals


def _parsed(name: str, lines: list[str], separator: str, skipped: int, wanted: Sequence[str]) -> Table:
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator, skipinitialspace=True)
    columns = [tidied(column) for column in next(reader, [])]
    for column in wanted:
        if columns.count(column) > 1:
            raise BonexrayError(
                name,
                expected=f"one column {column!r}",
                received=columns.count(column),
                do="rename or remove the others",
            )
    rows = []
    first = reader.line_num + 1
    for cells in reader:
        line, first = first + skipped, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < len(columns) and "\n" in cells[-1]:  # the rest of the file would be this cell
            raise csv.Error(f"a double quote that opens in line {line} and does not close")
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise BonexrayError(
                f"{name}, line {line}",
                expected=f"{len(columns)} cells, as in the header",
                received=len(cells),
                do=f"put cells that contain {separator!r}, such as decimal commas, into double quotes",
            )
        padded = cells + [""] * (len(columns) - len(cells))
        rows.append(Row(line, dict(zip(columns[::-1], padded[: len(columns)][::-1], strict=True))))
    return Table(name, columns, rows)
