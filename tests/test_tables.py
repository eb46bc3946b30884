"""Labels, patients and splits from tables as spreadsheets and people write them."""

from pathlib import Path

import pytest
from datasets import counted, dataset, touch
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import tidied_number
from bonexray.dataset.source import Listing
from bonexray.dataset.sources import list_sources, read_listing

HEADER = "image,label"
PLAIN = [HEADER, "1.png,a", "2.png,a", "3.png,b"]


def read(root: Path, text: str | bytes, **changes: object) -> Listing:
    """Return what is read of a table beside 1.png, 2.png, 3.png and deep/4.PNG."""
    touch(root, "1.png", "2.png", "3.png", "deep/4.PNG")
    table = root / "index.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_listing(dataset(root, csv=str(table), **changes))


SPELLINGS = {
    "plain": "\n".join(PLAIN),
    "carriage returns": "\r\n".join(PLAIN),
    "old Macs": "\r".join(PLAIN),
    "BOM": "\ufeff" + "\n".join(PLAIN),
    "UTF-16": "\n".join(PLAIN).encode("utf-16"),
    "UTF-16 of Excel, with tabs": b"\xff\xfe" + "\r\n".join(PLAIN).replace(",", "\t").encode("utf-16-le"),
    "UTF-16 without a mark": "\n".join(PLAIN).encode("utf-16-be"),
    "semicolons": "\n".join(PLAIN).replace(",", ";"),
    "tabs": "\n".join(PLAIN).replace(",", "\t"),
    "bars": "\n".join(PLAIN).replace(",", "|"),
    "a hint for Excel": "sep=;\n" + "\n".join(PLAIN).replace(",", ";"),
    "spaces": "\n".join(PLAIN).replace(",", " , "),
    "quotes": "\n".join(f'"{line}"'.replace(",", '","') for line in PLAIN),
    "quotes and spaces": "\n".join(f'"{line}"'.replace(",", '" , "') for line in PLAIN),
    "blank lines": "\n\n".join(PLAIN) + "\n\n ,\n",
    "trailing separators": "\n".join(f"{line},," for line in PLAIN),
    "an index column": "\n".join(f"{number},{line}" for number, line in enumerate(PLAIN)).replace("0,", ",", 1),
    "other columns, semicolons, decimal commas": "image;age;label\n1.png;60,5;a\n2.png;61,0;a\n3.png;62;b",
    "dots and backslashes": "image,label\n.\\1.png,a\n./2.png,a\n3.png,b",
    "no suffix": "image,label\n1,a\n2,a\n3,b",
    "another case": "image,label\n1.PNG,a\n2.Png,a\n3.png,b",
    "labels missing in every way": "\n".join(
        [*PLAIN, "9.png,", "9.png,  ", "9.png,nan", "9.png,NaN", "9.png,NA", "9.png"]
    ),
    "rows repeated": "\n".join([*PLAIN, PLAIN[1], PLAIN[1]]),
    "spellings of a class": "image,label\n1.png,a \n2.png,a\n3.png,b\n2.png,A",
    "one-hot": "image,a,b\n1.png,1,0\n2.png,1.0,0\n3.png,0,1",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_table_is_read_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    columns = {"label_column": ["a", "b"]} if spelling == "one-hot" else {}
    listing = read(tmp_path, SPELLINGS[spelling], **columns)
    assert [(source.path, source.label) for source in listing.sources] == [
        ("1.png", "a"),
        ("2.png", "a"),
        ("3.png", "b"),
    ]


@pytest.mark.parametrize(
    ("rows", "counts"),
    {
        ("1.png,0", "2.png,0.0", "3.png,1"): {"0": 2, "1": 1},
        ("1.png,01", "2.png,1", "3.png,1e3"): {"01": 1, "1": 1, "1e3": 1},
        ("1.png,yes", "2.png,no", "3.png,null"): {"yes": 1, "no": 1, "null": 1},
        ("1.png,None", "2.png,none", "3.png,b/c"): {"None": 2, "b/c": 1},
        ('1.png,"0,5"', "2.png,0.5", "3.png,1"): {"0.5": 2, "1": 1},
        ("1.png,e\u0301", "2.png,\u00e9", "3.png,b"): {"\u00e9": 2, "b": 1},
    }.items(),
)
def test_labels_are_text(tmp_path: Path, rows: tuple[str, ...], counts: dict[str, int]) -> None:
    assert counted(read(tmp_path, "\n".join([HEADER, *rows])).sources) == counts


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.0", "0"), ("2,00", "2"), ("1,5", "1.5"), (" 3 ", "3"), ("1.05", "1.05"), ("v1.0", "v1.0"), ("-1.0", "-1")],
)
def test_numbers_have_one_form(text: str, number: str) -> None:
    assert tidied_number(text) == number


NOTES = {
    "missing labels": (
        ["1.png,a", "2.png,b", "3.png,nan", "3.png,"],
        ["1 rows left out, whose label is nan", "is empty"],
    ),
    "repeated rows": (["1.png,a", "1.png,a", "2.png,b"], ["1 rows repeat an image"]),
    "two labels": (
        ["1.png,a", "1.png,b", "2.png,b", "3.png,a"],
        ["1 images have rows with different labels", "lines 2, 3"],
    ),
    "spellings": (["1.png,a", "2.png,A", "3.png,b"], ["'A' (1), 'a' (1)"]),
    "numbers": (["1.png,0", "2.png,0.0", "3.png,1"], ["labels written 0.0, read as 0"]),
}


@pytest.mark.parametrize(("rows", "words"), NOTES.values(), ids=NOTES)
def test_what_was_read_otherwise_is_named(tmp_path: Path, rows: list[str], words: list[str]) -> None:
    notes = "\n".join(read(tmp_path, "\n".join([HEADER, *rows])).notes)
    assert [word for word in words if word not in notes] == []


REFUSED = {
    "two images in a cell": ([HEADER, "1.png;2.png,a"], {}, r"line 2: expected one image, received 2: 1\.png, 2\.png"),
    "a list in a cell": ([HEADER, "\"['1.png', '2.png']\",a"], {}, r"line 2: expected one image, received 2"),
    "a decimal comma without quotes": (
        ["image,age,label", "1.png,60,5,a"],
        {},
        r"line 2: expected 3 cells.*received 4.*decimal commas.*quotes",
    ),
    "one-hot": (["image,a,b", "1.png,1,0", "2.png,0,1"], {}, r"set dataset\.label_column=\[a,b\] if"),
    "two classes at once": (
        ["image,a,b", "1.png,1,1"],
        {"label_column": ["a", "b"]},
        r"line 2: expected one class for an image, received a and b",
    ),
    "one-hot with words": (
        ["image,a,b", "1.png,1,perhaps"],
        {"label_column": ["a", "b"]},
        r"line 2: expected 0 or 1 in column 'b', received 'perhaps'",
    ),
    "a column twice": (["image,label,label", "1.png,a,b"], {}, r"expected one column 'label', received 2"),
    "a split as a number": (
        ["image,label,set", "1.png,a,0"],
        {"split_column": "set"},
        r"line 2: expected train, val or test, received '0'",
    ),
    "splits as classes": ([HEADER, "1.png,train", "2.png,test"], {}, r"no name of a split, received test, train"),
    "patients that disagree": (
        ["image,label,who", "1.png,a,p", "1.png,a,q", "2.png,b,r"],
        {"group_column": "who"},
        r"lines 2, 3: expected one patient for the image 1\.png, received p, q",
    ),
    "an empty path": ([HEADER, " ,a"], {}, r"line 2: .*the cell is empty"),
    "a very long path": ([HEADER, f"{'x' * 5000},a"], {}, r"line 2: expected an image file, received no such file"),
    "a line break in a cell": ([HEADER, '"1.png\n9.png",a', "9.png,b"], {}, r"line 2: .*no such file"),
    "the line after a line break": ([HEADER, '1.png,"a\nb"', "9.png,b"], {}, r"line 4: .*no such file"),
    "a folder": ([HEADER, "deep,a"], {}, r"line 2: .*no such file"),
}


@pytest.mark.parametrize(("lines", "columns", "words"), REFUSED.values(), ids=REFUSED)
def test_a_row_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, lines: list[str], columns: dict, words: str
) -> None:
    with pytest.raises(BonexrayError, match=words) as refused:
        read(tmp_path, "\n".join(lines), **columns)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04more", "Excel workbook"),
        ("image,label\n1.png,größe".encode("latin-1"), "expected UTF-8 text, received byte 0xf6"),
        (b"", "expected one of the columns"),
        (b'image,label\n"1.png,a\n2.png,b\n', "double quote that opens in line 2 and does not close"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BonexrayError, match=words):
        read(tmp_path, content)


def test_an_absolute_path_inside_the_root_is_read(tmp_path: Path) -> None:
    listing = read(tmp_path, f"image,label\n{tmp_path}/1.png,a\n{tmp_path}/deep/4.PNG,b")
    assert [source.path for source in listing.sources] == ["1.png", "deep/4.PNG"]


def test_a_row_whose_path_begins_at_the_table_says_what_to_set(tmp_path: Path) -> None:
    touch(tmp_path, "deep/1.png")
    (tmp_path / "index.csv").write_text("image,label\ndeep/1.png,a\n")
    with pytest.raises(BonexrayError, match=rf"set dataset\.root={tmp_path} if paths begin at the CSV file"):
        list_sources(dataset(tmp_path / "deep", csv=str(tmp_path / "index.csv")))


def test_the_names_of_splits_in_cells(tmp_path: Path) -> None:
    rows = ["image,label,set", "1.png,a, Training", "2.png,b,Hold-out", "3.png,b,nan"]
    listing = read(tmp_path, "\n".join(rows), split_column="set")
    assert [source.split for source in listing.sources] == ["train", "test", None]


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: f"image,label\n{text}".encode("utf-8", "replace")),
    )
)
def test_no_content_of_a_table_ends_in_another_error(tmp_path: Path, content: bytes) -> None:
    try:
        read(tmp_path, content)
    except BonexrayError as error:
        assert "\n" not in str(error)


# Patients

PATHS = [f"{label}/p{number}_{side}.png" for label in "ab" for number in range(3) for side in "lr"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(patient\d+)", r"received none in 12 images, such as a/p0_l\.png"),
        (r"()p", r"received none in 12 images"),
        (r"\.(png)$", r"received one, 'png', for 12 images"),
        (r"^([ab])/", r"received one for each class: a, b"),
    ],
)
def test_a_pattern_that_says_nothing_is_refused(tmp_path: Path, pattern: str, words: str) -> None:
    with pytest.raises(BonexrayError, match=rf"^dataset\.group_pattern: .*{words}"):
        list_sources(dataset(touch(tmp_path, *PATHS), group_pattern=pattern))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"([ab]/p\d)_", "names 6 groups for 12 of 12 images; the largest has 2"),
        (r"(p0)_", "names 1 groups for 4 of 12 images; the largest has 4"),
    ],
)
def test_what_a_pattern_matches_is_counted(tmp_path: Path, pattern: str, words: str) -> None:
    listing = read_listing(dataset(touch(tmp_path, *PATHS), group_pattern=pattern))
    assert any(words in note for note in listing.notes)


def test_an_empty_column_of_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BonexrayError, match=r"^dataset\.group_column: .*received none in 2 images"):
        read(tmp_path, "image,label,who\n1.png,a,\n2.png,b,nan", group_column="who")


@pytest.mark.parametrize(
    ("patients", "groups"),
    [
        (None, ["x", "y"]),
        ("column", ["x", "y"]),
        ("pattern", ["1", "2"]),
        ("header", [None, None]),
        ("none", [None, None]),
    ],
)
def test_the_setting_says_where_patients_come_from(tmp_path: Path, patients: str | None, groups: list) -> None:
    rows = "image,label,who\n1.png,a, x\n2.png,b,y"
    listing = read(tmp_path, rows, group_column="who", group_pattern=r"(\d)\.png", patients=patients)
    assert [source.group for source in listing.sources] == groups


@pytest.mark.parametrize("patients", ["column", "pattern"])
def test_patients_need_their_column_or_pattern(tmp_path: Path, patients: str) -> None:
    with pytest.raises(ValueError, match=f"dataset.group_{patients}"):
        dataset(tmp_path, patients=patients)
