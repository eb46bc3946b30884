"""The record beside the images: found by image or patient, from a table or headers, and never an identifier."""

from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import YAML_FILE, Study
from datasets import dataset, touch
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from xrays import SECRET_ID, SECRET_NAME, dicom_file

from bonexray.base.errors import BonexrayError
from bonexray.data.record import read_record
from bonexray.dataset.facts import judged
from bonexray.dataset.record import require_facts, table_facts
from bonexray.dataset.source import Source
from bonexray.derived_params import derive_params
from bonexray.experiment.dag import stage_calls
from bonexray.split.headers import numbered, read_headers
from bonexray.study import load_settings

IMAGES = ("a/1.2.3", "a/1.2.4", "b/Knee.png", "b/z.png")
PATIENTS = ("p1", "p1", "p2", None)


def sources(patients: tuple[str | None, ...] = PATIENTS) -> list[Source]:
    return [Source(path, path[0], patient, None) for path, patient in zip(IMAGES, patients, strict=True)]


def facts_of(folder: Path, text: str, columns: tuple[str, ...] = ("age",), **changes: object) -> dict[str, list[str]]:
    touch(folder / "raw", *IMAGES)
    record = folder / "raw/record.csv"
    record.write_text(text, encoding="utf-8")
    options = dataset(folder / "raw", record=str(record), columns=list(columns), **changes)
    return table_facts(options, sources(), [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image,age\na/1.2.3,61\na/1.2.4,62\nb/Knee.png,63\nb/z.png,64\n", ["61", "62", "63", "64"]),
        ("image;age\nb\\knee.PNG;63\na/1.2.4;62,0\n", ["", "62", "63", ""]),
        ("image,age\nb/Knee,63\na/1.2,9\n", ["", "", "63", ""]),  # a suffix that the table leaves out; 1.2 is no image
        ("patient,age\np1,61\np2,nan\n", ["61", "61", "", ""]),
        ("patient,age\np2,Unknown\np1,61\np1,61.0\n", ["61", "61", "", ""]),
        ("image,patient,age\na/1.2.3,p1,61\na/1.2.4,p1,62\n", ["61", "62", "", ""]),
    ],
    ids=["images", "spellings", "no suffix", "patients", "rows of one patient", "images before patients"],
)
def test_a_row_belongs_to_an_image_or_to_a_patient(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert facts_of(tmp_path, text) == {"age": expected}


def test_the_patients_column_is_that_of_the_dataset(tmp_path: Path) -> None:
    assert facts_of(tmp_path, "subject,age\np2,63\n", group_column="subject")["age"] == ["", "", "63", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,age\n1,61\n", "a column 'image' of images, or 'patient'"),
        ("image,age\nc/0.png,61\n", "paths of images of the dataset, received none of them"),
        ("patient,age\np1,61\np1,67\n", "lines 2 and 3: expected one value of age for one patient, received two"),
    ],
)
def test_a_table_that_fits_no_image_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BonexrayError, match=message):
        facts_of(tmp_path, text)


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    header=st.sampled_from(["image,age", "patient,age", "image;sex;age", "age", "", "image,age,age"]),
    text=st.one_of(
        st.text(max_size=120),
        st.lists(
            st.lists(
                st.sampled_from(["a/1.2.3", "b/Knee", "p1", "p2", "61", "61,5", "045Y", '"', "", "nan"]), max_size=4
            ),
            max_size=6,
        ).map(lambda rows: "\n".join(",".join(row) for row in rows)),
    ),
    columns=st.lists(st.sampled_from(["age", "sex", "\u00e9", "image"]), min_size=1, max_size=2, unique=True),
)
def test_any_table_gives_the_record_or_is_refused_in_one_line(
    tmp_path: Path, header: str, text: str, columns: list[str]
) -> None:
    try:
        facts = facts_of(tmp_path, f"{header}\n{text}".encode("utf-8", "replace").decode(), tuple(columns))
        require_facts(dataset(tmp_path / "raw", columns=columns), facts, sources())
    except BonexrayError as error:
        assert "\n" not in str(error)
    else:
        assert all(len(values) == len(IMAGES) for values in facts.values())


@pytest.mark.parametrize(
    ("record", "columns", "message"),
    [
        ("image,age\na/1.2.3,61\n", ["weight"], r"dataset\.columns: expected columns of .*, received weight"),
        (None, ["weight"], r"dataset\.record, or headers of DICOM: sex, age, .*, received weight"),
    ],
)
def test_an_absent_column_is_refused(tmp_path: Path, record: str | None, columns: list[str], message: str) -> None:
    path = touch(tmp_path, *IMAGES) / "record.csv"
    path.write_text(record or "")
    options = dataset(tmp_path, columns=columns, record=str(path) if record else None)
    with pytest.raises(BonexrayError, match=message):
        require_facts(options, table_facts(options, sources(), []), sources())


# Columns

PEOPLE = [f"p{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("age", [""] * 12, "every cell is empty"),
        ("site", ["A"] * 12, "one value for all"),
        ("site", ["A", ""] * 6, "one value for all"),
        ("PatientID", list("AB") * 6, "a name of identifiers"),
        ("Patient Name", list("AB") * 6, "a name of identifiers"),
        ("birth_date", ["1950", "1951"] * 6, "a name of identifiers"),
        ("Accession Number", ["1", "2"] * 6, "a name of identifiers"),
        ("code", [f"X{number}" for number in range(12)], "12 different texts for 12 patients"),
        ("code", [str(4_000_000 + number) for number in range(12)], "12 different texts for 12 patients"),
        ("visit", ["2020-01-02", "2021-05-06"] * 6, "received dates"),
        ("born", ["19500102", "19510203"] * 6, "received dates"),
        ("finding", ["no fracture of the distal radius is seen", "absent"] * 6, "free text"),
    ],
)
def test_a_column_that_says_nothing_or_who_it_is_is_refused(name: str, values: list[str], message: str) -> None:
    with pytest.raises(BonexrayError, match=message) as refused:
        judged("dataset.columns", name, values, PEOPLE, [])
    assert not any(len(value) > 1 and value in str(refused.value) for value in values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["61", "62.5", ""] * 4, ["61", "62.5", ""] * 4),
        (["045Y", "018M", ""] * 4, ["45", "1.5", ""] * 4),
        (["AP", "ap", "LAT"] * 4, ["AP", "AP", "LAT"] * 4),
        (["F", "M", ""] * 3 + ["F", "M", SECRET_NAME], ["F", "M", ""] * 3 + ["F", "M", "other"]),
    ],
    ids=["numbers", "ages of DICOM", "spellings", "a word of one patient"],
)
def test_a_column_is_read_as_numbers_or_shared_words(values: list[str], expected: list[str]) -> None:
    assert judged("dataset.columns", "fact", values, PEOPLE, []) == expected


def test_numbers_among_words_are_words_and_said_to_be() -> None:
    notes: list[str] = []
    assert judged("dataset.columns", "dose", ["1", "2", "high"] * 4, PEOPLE, notes) == ["1", "2", "high"] * 4
    assert notes == ["column 'dose' has 8 numbers among 12 values, and is read as words"]


# Headers

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
SECRETS = (SECRET_ID, SECRET_NAME, "Zwiebelfisch", "19480317", "St. Mary", "lives alone", "ACC-77")
PRIVATE = {
    "PatientBirthDate": "19480317",
    "AccessionNumber": "ACC-77",
    "PatientComments": "lives alone in Kirkwood",
    "StudyDate": "20190506",
}


@pytest.mark.parametrize(
    ("elements", "name", "expected"),
    [
        ({"PatientSex": "F"}, "sex", "F"),
        ({"PatientSex": SECRET_NAME}, "sex", ""),
        ({"PatientAge": "045Y"}, "age", "45"),
        ({"PatientAge": "006M"}, "age", "0.5"),
        ({"PatientAge": "026W"}, "age", "0.5"),
        ({"StudyDate": "20190506"}, "year", "2019"),
        ({"ViewPosition": "AP"}, "view", "AP"),
        ({"ManufacturerModelName": "unknown"}, "scanner", ""),
        ({}, "manufacturer", ""),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_header_gives_a_fact(tmp_path: Path, elements: dict[str, str], name: str, expected: str) -> None:
    (tmp_path / "a").write_bytes(dicom_file(PIXELS, **elements))
    assert read_headers(tmp_path / "a", [name]) == {name: expected}


def test_sites_have_numbers_in_place_of_names() -> None:
    assert numbered(["B", "A", "A", "", "C"], "site") == ["site 2", "site 1", "site 1", "", "site 3"]


def dicom_study(study: Study) -> Study:
    """Return the study with DICOM files of 12 patients, whose headers hold secrets."""
    for path in (study.folder / "data/raw").rglob("*.png"):
        path.unlink()
    rng = np.random.default_rng(1)
    for number in range(24):
        name = ("normal", "osteoporosis")[number % 2]
        content = dicom_file(
            rng.integers(0, 256, (32, 32), np.uint8),
            **PRIVATE,
            PatientID=f"{SECRET_ID}-{number}",
            PatientSex="FM"[number // 2 % 2],
            PatientAge=f"0{40 + number}Y",
            InstitutionName=f"St. Mary {number // 2 % 2}",
            ManufacturerModelName=SECRET_NAME if number == 5 else f"DX {number // 2 % 2}",
        )
        study.write(f"data/raw/{name}/{number}.dcm", content)
    study.change({"dataset.columns": ["sex", "age", "site", "scanner"]})
    return study


def run(study: Study, *stages: str) -> None:
    with chdir(study.folder):
        for stage in stages:
            done = study.stage(*stage.split())
            assert done.returncode == 0, done.stderr[-2000:]
            assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]


def test_no_identifier_of_a_header_reaches_a_file_or_log(study: Study) -> None:
    run(dicom_study(study), "split", "denoise", "prepare", "cohort")
    record = read_record(study.folder / "data/split/record.csv")
    manifest = pd.read_csv(study.folder / "data/split/manifest.csv")
    assert list(record.index) == list(manifest["id"])
    assert set(record["site"]) == {"site 1", "site 2"} and set(record["scanner"]) == {"DX 0", "DX 1", "other"}
    assert record["age"].between(40, 64).all() and set(record["sex"]) == {"F", "M"}
    written = [path for path in study.folder.rglob("*") if path.is_file() and "data/raw" not in path.as_posix()]
    assert len(written) > 30
    for path in written:
        assert not [secret for secret in SECRETS if secret.encode() in path.read_bytes()], path


@pytest.mark.slow
def test_no_identifier_reaches_a_file_or_mlflow_in_a_whole_study(study: Study) -> None:
    """A table beside DICOM files has identifiers too, in columns that nobody named."""
    chosen = {"model": ["mobilenet_v2"]}
    params = YAML_FILE.load(study.folder / "params.yaml")
    dicom_study(study).change({**chosen, **derive_params({**params, **chosen}), "evaluate.resamples": 100})
    rows = [
        f"{('normal', 'osteoporosis')[n % 2]}/{n}.dcm,{SECRET_ID}-{n},Zwiebelfisch,19480317,lives alone,{20 + n % 9}.5"
        for n in range(24)
    ]
    study.write("data/raw/record.csv", "\n".join(["image,PatientID,surname,born,text,bmi", *rows]))
    study.write("requirements.txt", "")
    study.change({"dataset.record": "data/raw/record.csv", "dataset.clinical": ["bmi", "age"]})
    run(study, *(" ".join(call) for call in stage_calls(load_settings(study.folder / "params.yaml"))))
    written = [path for path in study.folder.rglob("*") if path.is_file() and "data/raw" not in path.as_posix()]
    assert {"report.html", "mlflow.db", "subgroups.json", "clinical.json", "record.csv"} <= {
        path.name for path in written
    }
    for path in written:
        assert not [secret for secret in SECRETS if secret.encode() in path.read_bytes()], path


def test_images_without_headers_need_a_table(study: Study) -> None:
    study.change({"dataset.columns": ["sex"]})
    done = study.stage("split")
    assert done.returncode == 1 and "since no image is DICOM" in done.stderr


def test_a_record_outside_what_dvc_watches_is_refused(study: Study) -> None:
    study.write("elsewhere.csv", "image,sex\nnormal/0.png,F\nnormal/1.png,M\n")
    study.change({"dataset.columns": ["sex"], "dataset.record": "elsewhere.csv"})
    assert "dataset.record: expected a file in data/raw, received elsewhere.csv" in study.check().stderr
    (study.folder / "elsewhere.csv").rename(study.folder / "data/raw/record.csv")
    study.change({"dataset.record": "data/raw/record.csv"})
    assert "dataset.record" not in study.check().stderr


def test_a_record_without_columns_has_ids_alone(study: Study) -> None:
    run(study, "split")
    assert (study.folder / "data/split/record.csv").read_text().splitlines()[0] == "id"


def test_the_record_of_patients_is_that_of_their_own_name_when_copies_unite_them(study: Study) -> None:
    """Two patients with one image in common are one group of the manifest; each keeps their own age."""
    study.image("data/raw/normal/1.png", seed=0)  # a copy of normal/0.png
    study.write("data/raw/ages.csv", "patient,age\n0,60\n1,61\n2,62\n3,63\n4,64\n5,65\n")
    study.image("data/raw/osteoporosis/3.png", seed=13)
    for number in range(3):
        (study.folder / f"data/raw/osteoporosis/{number}.png").rename(
            study.folder / f"data/raw/osteoporosis/{number + 4}.png"
        )
    changes = {"dataset.record": "data/raw/ages.csv", "dataset.columns": ["age"], "dataset.group_pattern": r"(\d)\.png"}
    study.image("data/raw/normal/8.png", seed=21)
    study.change(changes)
    run(study, "split")
    manifest = pd.read_csv(study.folder / "data/split/manifest.csv", dtype=str).set_index("path")
    record = read_record(study.folder / "data/split/record.csv")
    assert manifest.loc["normal/0.png", "group"] == manifest.loc["normal/1.png", "group"]
    assert record.loc[manifest.loc[["normal/0.png", "normal/1.png"], "id"], "age"].tolist() == [60, 61]
