"""Patient IDs of DICOM files: placeholders never group, and the settings say where patients come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audited import CLASSES, LOCAL, image
from datasets import dataset
from xrays import dicom_file, written

from bonexray.dataset.source import Source
from bonexray.split.audit import AuditedImage, audit_images
from bonexray.split.grouping import groups_of
from bonexray.split.identifiers import known_placeholder
from bonexray.split.placeholders import with_trusted_patients

SALT = b"0" * 32


@pytest.mark.parametrize(
    ("word", "ids"),
    {
        "(empty)": ["", " ", "-", "***"],
        "0": ["0", "000000", "0-0"],
        "anon": ["ANON", "anon", "Anon^000", "ANON_0"],
        "anonymous": ["Anonymous", "ANONYMOUS^"],
        "anonymized": ["ANONYMIZED"],
        "x": ["XXXX", "xx-xx"],
        "unknown": ["UNKNOWN", "Unknown 0"],
        "deidentified": ["De-Identified"],
        None: ["ANON0012", "12345", "P007", "anon-a", "10", "100", "Smith", "1"],
    }.items(),
)
def test_known_words_are_placeholders(word: str | None, ids: list[str]) -> None:
    assert {text: known_placeholder(text) for text in ids} == dict.fromkeys(ids, word)


def cohort(folder: Path, *headers: dict[str, str | None]) -> list[AuditedImage]:
    """Audit a DICOM file of each header, of the two classes in turn."""
    sources = []
    for number, header in enumerate(headers):
        label = CLASSES[number % 2]
        stored = np.random.default_rng(number).integers(0, 65_536, (8, 8), np.uint16)
        written(folder / label / f"{number:02}.dcm", dicom_file(stored, **header))
        sources.append(Source(f"{label}/{number:02}.dcm", label, None, None))
    return audit_images(folder, sources, LOCAL)


def ids(patient: str, files: int, **header: str) -> list[dict[str, str]]:
    return [{"PatientID": patient, **header}] * files


GROUPED = {
    "a known word": (ids("ANON", 6), 6, ["6 DICOM files have the placeholder 'anon'"]),
    "empty, and two patients": (ids("", 4) + ids("a", 2) + ids("b", 2), 6, ["4 DICOM files", "'(empty)'"]),
    "two sexes": (ids("7", 2, PatientSex="M") + ids("7", 1, PatientSex="F") + ids("8", 2), 4, ["3 files of 2 sexes"]),
    "two years of birth": (
        ids("7", 2, PatientBirthDate="19500101") + ids("7", 2, PatientBirthDate="19610203") + ids("8", 2),
        5,
        ["4 files of 2 years of birth"],
    ),
    "one ID for all": (ids("STUDY-1", 6), 6, ["6 files of 2 classes"]),
    "a crowd among patients": (
        ids("STUDY-1", 10) + [header for n in range(6) for header in ids(f"p{n}", 2)],
        16,
        ["10 files of 2 classes"],
    ),
    "a patient with both classes": (ids("7", 4) + [{"PatientID": f"p{n}"} for n in range(8)], 9, []),
    "patients with many images": ([header for n in range(3) for header in ids(f"p{n}", 10)], 3, []),
    "one sex left out": (ids("7", 2, PatientSex="M") + ids("7", 2, PatientSex="") + ids("8", 2), 2, []),
}


@pytest.mark.parametrize(("headers", "groups", "words"), GROUPED.values(), ids=GROUPED)
def test_a_placeholder_groups_nothing_and_is_named(tmp_path: Path, headers: list, groups: int, words: list) -> None:
    images, notes = with_trusted_patients(cohort(tmp_path, *headers), dataset(tmp_path))
    assert len(set(groups_of(images))) == groups
    assert [word for word in words if word not in "\n".join(notes)] == []
    assert bool(notes) == bool(words)
    if words:
        assert "dataset.group_column" in notes[-1]


def test_no_note_and_no_image_holds_a_patient_id(tmp_path: Path) -> None:
    images = cohort(tmp_path, *ids("SECRET-123", 6, PatientSex="F", PatientBirthDate="19500101"))
    _, notes = with_trusted_patients(images, dataset(tmp_path))
    assert notes
    assert not [text for text in (*notes, *map(repr, images)) if "SECRET" in text or "1950" in text]


@pytest.mark.parametrize(
    ("settings", "groups"),
    [
        ({}, [0, 0, 1, 2]),  # the column replaces the ID of the images that it names
        ({"patients": "header"}, [0, 0, 1, 1]),
        ({"patients": "column"}, [0, 0, 1, 2]),
        ({"patients": "none"}, [0, 1, 2, 3]),
    ],
)
def test_a_column_replaces_the_header_unless_the_setting_says_otherwise(settings: dict, groups: list[int]) -> None:
    data = dataset(Path(), csv="x.csv", group_column="who", **settings)
    names = ["a", "a", "b", "c"] if settings.get("patients") in (None, "column") else [None] * 4
    keys = ["1", "1", "2", "2"]
    images = [image(str(n), group=names[n], patient=keys[n]) for n in range(4)]
    trusted, _ = with_trusted_patients(images, data)
    assert groups_of(trusted).tolist() == groups


def test_an_image_that_the_column_leaves_out_keeps_its_patient() -> None:
    data = dataset(Path(), csv="x.csv", group_column="who")
    images = [image("1", group="a", patient="7"), image("2", patient="8"), image("3", patient="8")]
    assert groups_of(with_trusted_patients(images, data)[0]).tolist() == [0, 1, 1]


def test_headers_that_name_no_patient_are_reported() -> None:
    _, notes = with_trusted_patients([image("1"), image("2")], dataset(Path(), patients="header"))
    assert "no file has a patient ID" in notes[0]


def test_images_that_cannot_be_used_are_no_evidence() -> None:
    images = [image(str(n), CLASSES[n % 2], patient="7") for n in range(4)]
    images = [replace(item, reason="empty file" if n % 2 else None) for n, item in enumerate(images)]
    assert with_trusted_patients(images, dataset(Path()))[1] == []
