"""Take the images of a dataset, with label, group and split, from the rows of a table."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bonexray.base.errors import BonexrayError
from bonexray.dataset.links import is_file, is_folder, is_outside
from bonexray.dataset.names import escaped, listed, tidied, tidied_number
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Source
from bonexray.dataset.split_names import split_named
from bonexray.dataset.table import Row, Table, read_table

MISSING = frozenset(["", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaT"])  # of pandas, R and Excel
_COLUMNS = ("image_column", "label_column", "group_column", "split_column")
_SEVERAL = re.compile(r"\s*[;|,\n]\s*|\s+")
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", "")


@dataclass(frozen=True)
class Listed:
    """Images that the rows of a table list.

    Attributes:
        sources: one for each row with a label; an image may be there several times.
        lines: path to the lines of its rows.
        notes: what was left out, or read otherwise than written.
    """

    sources: list[Source]
    lines: dict[str, list[int]]
    notes: list[str]


def table_sources(dataset: Dataset, root: Path) -> Listed:
    """Return the images that the rows of `dataset.csv` list.

    Raises:
        BonexrayError: a column is missing, or a row names no file below the root, several files, or no known split.
    """
    path = Path(str(dataset.csv))
    if not path.is_file():
        raise BonexrayError(
            "dataset.csv", expected="a CSV file", received=f"no such file: {path}", do="set dataset.csv"
        )
    table = read_table(path, _wanted(dataset))
    for key in _COLUMNS:
        _require_columns(dataset, table, key)
    reader = _Reader(dataset, root, table.name)
    sources = [source for row in table.rows if (source := reader.source(row)) is not None]
    return Listed(sources, reader.lines, [f"{count} {what}" for what, count in reader.counts.items()])


def missing(cell: str) -> bool:
    """Return whether a tidied cell stands for no value."""
    return cell in MISSING


def _names(dataset: Dataset, key: str) -> list[str]:
    value = getattr(dataset, key)
    return [] if value is None else [tidied(name) for name in ([value] if isinstance(value, str) else value)]


def _wanted(dataset: Dataset) -> list[str]:
    return [name for key in _COLUMNS for name in _names(dataset, key)]


def _require_columns(dataset: Dataset, table: Table, key: str) -> None:
    for column in _names(dataset, key):
        if column in table.columns:
            continue
        do = f"set dataset.{key} to the right column"
        if key == "label_column" and (flags := _one_hot(table)):
            do = f"set dataset.label_column=[{','.join(flags)}] if these columns of 0 and 1 are the classes"
        raise BonexrayError(
            f"{dataset.csv}: dataset.{key}",
            expected=f"one of the columns {', '.join(table.columns)}",
            received=repr(column),
            do=do,
        )


def _one_hot(table: Table) -> list[str]:
    """Return the columns of 0 and 1, if there are several and most rows have a single 1 among them."""
    flags = [
        column
        for column in table.columns
        if column and table.rows and all(_flag(row.cells[column]) is not None for row in table.rows)
    ]
    single = sum(sum(bool(_flag(row.cells[column])) for column in flags) == 1 for row in table.rows)
    return flags if len(flags) > 1 and 2 * single > len(table.rows) else []


def _flag(cell: str) -> bool | None:
    cell = tidied_number(cell).casefold()
    return True if cell in _YES else (False if cell in _NO or missing(cell) else None)


@dataclass
class _Reader:
    """Reads rows, and counts what it had to leave out or to read otherwise than written."""

    dataset: Dataset
    root: Path
    name: str
    counts: Counter = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # path to lines
    listings: dict[Path, dict[str, list[str]]] = field(default_factory=dict)

    def source(self, row: Row) -> Source | None:
        """Return the image of a row; None if it has no label."""
        where = f"{self.name}, line {row.line}"
        label = self._label(where, row)
        if label is None:
            return None
        path = self._path(where, row.cells[_names(self.dataset, "image_column")[0]])
        self.lines[path].append(row.line)
        return Source(path, label, self._cell(row, "group_column"), self._split(where, row))

    def _cell(self, row: Row, key: str) -> str | None:
        names = _names(self.dataset, key)
        cell = tidied_number(row.cells[names[0]]) if names else ""
        return None if missing(cell) else cell

    def _label(self, where: str, row: Row) -> str | None:
        columns = _names(self.dataset, "label_column")
        if isinstance(self.dataset.label_column, str):
            written = tidied(row.cells[columns[0]])
            if missing(written):
                self.counts[f"rows left out, whose label is {written or 'empty'}"] += 1
                return None
            label = tidied_number(written)
            if label != written:
                self.counts[f"labels written {written}, read as {label}"] += 1
            return label
        flags = {column: _flag(row.cells[column]) for column in columns}
        if None in flags.values():
            column = next(column for column, flag in flags.items() if flag is None)
            raise BonexrayError(
                where, expected=f"0 or 1 in column {column!r}", received=repr(row.cells[column]), do="correct the cell"
            )
        chosen = [column for column, flag in flags.items() if flag]
        if len(chosen) > 1:
            raise BonexrayError(
                where,
                expected="one class for an image",
                received=" and ".join(chosen),
                do="keep one, or remove the row",
            )
        if not chosen:
            self.counts["rows left out, which have no 1 in a column of a class"] += 1
        return chosen[0] if chosen else None

    def _split(self, where: str, row: Row) -> str | None:
        cell = self._cell(row, "split_column")
        if cell is None:
            return None
        if (split := split_named(cell)) is None:
            raise BonexrayError(
                where,
                expected="train, val or test",
                received=repr(cell),
                do="write the split's name, or set dataset.split_column to null",
            )
        return split

    def _path(self, where: str, written: str) -> str:
        """Return the path of an image relative to the root, as it is on disk."""
        cell = tidied(written)
        if not cell:
            raise _refused(where, "an image file", "no such file: the cell is empty", "name the image")
        for candidate in dict.fromkeys([written, cell, cell.replace("\\", "/"), unicodedata.normalize("NFD", cell)]):
            if (path := self._inside(where, candidate)) and is_file(self.root / path):
                return path
        relative = self._inside(where, cell.replace("\\", "/")) or cell
        return self._nearly(relative) or self._refuse(where, cell, relative)

    def _inside(self, where: str, text: str) -> str | None:
        """Return a path relative to the root; an absolute one must be inside it."""
        if "\0" in text:
            return None
        path = Path(os.path.normpath(text))
        if path.is_absolute():
            for base in (self.root.absolute(), self.root.resolve()):
                if path.is_relative_to(base):
                    path = path.relative_to(base)
                    break
        if (
            path.is_absolute()
            or ".." in path.parts
            or (self.dataset.links != "follow" and is_outside(self.root, self.root / path))
        ):
            received = f"{PurePosixPath(text)}, outside"
            raise _refused(where, f"a file inside {self.dataset.root}", received, "correct the path or remove the row")
        return path.as_posix()

    def _nearly(self, path: str) -> str | None:
        """Return the only file that differs in case, Unicode form or a left-out suffix; None if there is no one such."""
        folder = self.root / PurePosixPath(path).parent
        if folder not in self.listings:
            self.listings[folder] = defaultdict(list)
            for name in _names_in(folder):
                folded = unicodedata.normalize("NFC", name).casefold()
                for key in dict.fromkeys([folded, PurePosixPath(folded).stem]):
                    self.listings[folder][key].append(name)
        names = self.listings[folder][PurePosixPath(path).name.casefold()]
        if len(names) != 1 or not is_file(folder / names[0]):
            return None
        self.counts["paths completed: the file on disk has a suffix or is in another case"] += 1
        return str(PurePosixPath(path).parent / names[0])

    def _refuse(self, where: str, cell: str, relative: str) -> str:
        """Raise the error for a path that leads to no file."""
        pieces = [piece.strip("'\"[](){}") for piece in _SEVERAL.split(cell)]
        files = [piece for piece in pieces if piece and is_file(self.root / piece)]
        if len(files) > 1:
            raise _refused(
                where,
                "one image",
                f"{len(files)}: {listed(files)}",
                "give each image a row, and name the patient in a column for dataset.group_column",
            )
        beside = Path(self.name).parent
        do = "correct the path or remove the row"
        if is_file(beside / relative):
            do = f"set dataset.root={beside} if paths begin at the CSV file"
        raise _refused(where, "an image file", f"no such file: {self.root / relative}", do)


def _refused(where: str, expected: str, received: str, do: str) -> BonexrayError:
    return BonexrayError(where, expected=expected, received=escaped(received), do=do)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir()) if is_folder(folder) else []
    except OSError as error:
        received = error.strerror or type(error).__name__
        raise _refused(str(folder), "a folder that can be read", received, "correct its permissions") from None
