"""Folders, tables, headers and settings together: `split` keeps its promises or says in one line why it cannot."""

import csv
import io
import runpy
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from PIL import Image
from xrays import SECRET_ID, SECRET_NAME, dicom_file, encoded

from bonexray.base.config import findings_in
from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.record import read_record

STAGE = runpy.run_path(str(Path(__file__).parents[1] / "stages/split.py"))
CLASSES = [
    "a",
    "b",
    "0",
    "1",
    "01",
    "1e3",
    "yes",
    "null",
    "nan",
    "arthros\u00e9",
    "arthrose\u0301",
    "A",
    "a ",
    "膝",
    "x" * 99,
]
CLASSES += ["=1+1", "#x", "a;b", "a,b", 'q"', "a'b", "{a}", "%s", "\\"]
PATIENTS = ["P1", "P2", "P3", "P4", "P5", "ANON", "", "0", "P1 "]
GOOD = 5  # pictures of each class in each part, of one patient each
HEADER = ["image", "label", "patient", "sex", "age"]


def picture(seed: int) -> np.ndarray:
    """Return a body of its own fine structure, uint8 (32, 40)."""
    outline = np.outer(np.hanning(32), np.hanning(40)) * 200
    return (outline + np.random.default_rng(seed).integers(0, 50, (32, 40))).astype(np.uint8)


def dicom(seed: int, patient: str, sex: str, scanner: str) -> bytes:
    elements = {"PatientID": patient, "PatientSex": sex, "ManufacturerModelName": scanner, "PatientName": SECRET_NAME}
    return dicom_file(picture(seed), **elements)


FILE = st.one_of(
    st.integers(0, 10**6).map(lambda seed: (".png", encoded(Image.fromarray(picture(seed)), "PNG"))),
    st.integers(0, 3).map(lambda seed: (".png", encoded(Image.fromarray(np.fliplr(picture(seed))), "PNG"))),
    st.builds(
        dicom, st.integers(0, 10**6), st.sampled_from(PATIENTS), st.sampled_from("FM"), st.sampled_from("XY")
    ).map(lambda content: (".dcm", content)),
    st.sampled_from(
        [
            (".png", b""),
            (".png", encoded(Image.new("L", (1, 1), 9), "PNG")),
            ("", encoded(Image.fromarray(picture(5)), "JPEG")),
            (".dcm", dicom(5, SECRET_ID, "F", "X")[:200]),
        ]
    ),
)
CELLS = st.lists(
    st.tuples(
        st.sampled_from([None] * 15 + ["", "nan", "A"]),  # the label; None is the right one
        st.sampled_from([None, None, None, "", "p1", "p2"]),  # the patient; None is one of their own
        st.sampled_from(["F", "M", "f", "", "nan"]),
        st.sampled_from(["40", "61,5", "55", "60", ""]),
    ),
    min_size=7,
    max_size=11,
)
DATASET = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries(
        {},
        optional={
            "columns": st.lists(st.sampled_from(["sex", "age", "scanner"]), max_size=2, unique=True),
            "clinical": st.lists(st.sampled_from(["sex", "age"]), max_size=2, unique=True),
            "patients": st.sampled_from(["header", "none"]),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "group_pattern": st.sampled_from([r"/(\d)", r"([ab])", r"()x", r"(.*)"]),
            "patients": st.sampled_from(["pattern", "column"]),
            "labels": st.dictionaries(st.sampled_from(["a", "b", "0"]), st.sampled_from([None, "z", "a"]), max_size=1),
        },
    ),
)
SPLIT = st.fixed_dictionaries(
    {"max_bad_fraction": st.sampled_from([1.0, 1.0, 0.2])},
    optional={
        "subset": st.sampled_from([0.3, 0.001]),
        "folds": st.sampled_from([3, 5]),
        "max_images": st.sampled_from([1, 6]),
    },
)
AUDIT = st.fixed_dictionaries(
    {
        "neighbours": st.sampled_from([0, 0, 8]),
        "crossing": st.sampled_from(["regroup", "redraw", "drop", "refuse", "trust"]),
    }
)


def lay_out(root: Path, parts: tuple, names: list[str], files: list, cells: list[tuple]) -> list[list[str]]:
    """Write good pictures and the files into each class of each part; return the rows of a table of them."""
    rows = []
    for number, (part, name) in enumerate((part, name) for part in parts for name in names):
        good = [(".png", encoded(Image.fromarray(picture(100 * number + place)), "PNG")) for place in range(GOOD)]
        for place, (suffix, content) in enumerate([*good, *files[number % 2 :]]):
            path = root / part / name / f"{place}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            label, patient, *others = cells[len(rows) % len(cells)]
            own = [name if label is None else label, f"q{len(rows)}" if patient is None else patient]
            rows.append([path.relative_to(root).as_posix(), *own, *others])
    return rows


def as_table(rows: list[list[str]], separator: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([HEADER, *rows])
    return text.getvalue()


def require_promises(paths: set[str]) -> None:
    """Require what every manifest promises: known images, one split a group and file, no name of a patient."""
    manifest, classes = read_manifest(), read_classes()
    assert set(manifest["path"]) <= paths and not manifest.duplicated(["path", "fold"]).any()
    assert set(manifest["label"]) <= set(classes) and len(classes) > 1
    if '"leak_suspect": false' in Path("metrics/data.json").read_text():
        for key in ("group", "sha256"):
            assert (manifest.groupby([key, "fold"])["split"].nunique() == 1).all()
    assert set(read_record().index) == set(manifest["id"]) and read_record().index.is_unique
    for path in [path for path in Path().rglob("*") if path.is_file() and "raw" not in path.parts]:
        assert SECRET_NAME.encode() not in path.read_bytes() and SECRET_ID.encode() not in path.read_bytes()


@pytest.mark.slow
@limits(max_examples=120, deadline=None)
@given(
    names=st.lists(st.sampled_from(CLASSES), min_size=2, max_size=3, unique=True),
    parts=st.sampled_from([("",), ("",), ("train/", "val/", "test/"), ("Training/", "hold-out/")]),
    files=st.lists(FILE, max_size=4),
    table=st.one_of(st.none(), st.tuples(st.sampled_from(["csv", "record"]), st.sampled_from(",;\t"))),
    cells=CELLS,
    options=st.tuples(DATASET, SPLIT, AUDIT),
)
def test_any_dataset_is_split_or_refused_in_one_line(
    names: list[str], parts: tuple, files: list, table: tuple | None, cells: list[tuple], options: tuple
) -> None:
    with TemporaryDirectory() as folder, chdir(folder):
        rows = lay_out(Path("raw"), parts, names, files, cells)
        dataset = {"name": "folder", "root": "raw", "inputs": ["raw"], **options[0]}
        if table:
            kind, separator = table
            Path("raw/table.csv").write_text(as_table(rows, separator), encoding="utf-8")
            dataset |= {kind: "raw/table.csv", **({"group_column": "patient"} if kind == "csv" else {})}
        content = {"dataset": dataset, "split": options[1], "audit": options[2], "compute": {}}
        if findings_in(content, STAGE["Settings"]):
            return
        try:
            STAGE["main"](STAGE["Settings"].model_validate(content))
        except BonexrayError as error:
            assert "\n" not in str(error) and SECRET_NAME not in str(error)
        else:
            require_promises({row[0] for row in rows})
