"""Boxes in a CSV file, one a row."""

from collections import defaultdict
from collections.abc import Callable, Container
from pathlib import Path

from bonexray.dataset.boxes.annotation import Annotation, Images, checked, numbers, read_text, refused
from bonexray.dataset.table import read_table

IMAGES = ("image", "filename", "file_name", "path", "image_id")
LABELS = ("label", "class", "name")
Edges = Callable[[list[float]], list[float]]
# Columns of a box in the spellings that programs write, and left, top, right and bottom from their values.
BOXES: dict[tuple[str, str, str, str], Edges] = {
    ("left", "top", "right", "bottom"): lambda v: v,
    ("xmin", "ymin", "xmax", "ymax"): lambda v: v,
    ("x_min", "y_min", "x_max", "y_max"): lambda v: v,
    ("x1", "y1", "x2", "y2"): lambda v: v,
    ("x", "y", "width", "height"): lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]],
    ("x", "y", "w", "h"): lambda v: [v[0], v[1], v[0] + v[2], v[1] + v[3]],
}


def read_csv_boxes(path: Path, images: Images, labels: Container[str]) -> dict[str, Annotation]:
    """Read a CSV file; a row whose cells of the box are all empty says that the image has none.

    Args:
        path: of the file.
        images: of the dataset.
        labels: those whose boxes count, if the file has a column of labels; empty for all.
    """
    read_text(path, path.parent)  # refuses what is too large or leads out
    wanted = list(dict.fromkeys([*IMAGES, *LABELS, *(name for names in BOXES for name in names)]))
    table = read_table(path, wanted)
    image = _one(IMAGES, table.columns, table.name, "the name of the image")
    label = next((name for name in LABELS if name in table.columns), None)
    columns = next((names for names in BOXES if set(names) <= set(table.columns)), None)
    if columns is None:
        expected = f"the columns of a box, such as {', '.join(next(iter(BOXES)))}"
        raise refused(table.name, expected, ", ".join(table.columns), "rename the columns")
    found: dict[str, Annotation] = defaultdict(Annotation)
    for row in table.rows:
        where = f"{table.name}, line {row.line}"
        cells = [row.cells[name].strip() for name in columns]
        if not any(cells) or (label and labels and row.cells[label].strip() not in labels):
            continue
        name = images.find(row.cells[image], where)
        found[name].boxes.append(checked(BOXES[columns](numbers(cells, where)), images.sizes[name], where))
    return dict(found)


def _one(names: tuple[str, ...], columns: list[str], where: str, meaning: str) -> str:
    for name in names:
        if name in columns:
            return name
    raise refused(where, f"a column with {meaning}, one of {', '.join(names)}", ", ".join(columns), "rename a column")
