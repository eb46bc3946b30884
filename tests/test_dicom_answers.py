"""`bonexray predict --dicom-sr` and `--dicom-heatmap`: what the objects say, whom they are of, and that they are valid."""

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from trained_study import SCRATCH
from typer.testing import CliRunner, Result
from xrays import SECRET_ID, SECRET_NAME, dicom_file, written

from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.images.radiograph import UnreadableImage
from bonexray.serving.dicom.source import read_source
from bonexray.serving.dicom.writing import require_apart, require_dicom
from bonexray.serving.predictor import Answer, Predictor
from bonexray.serving.verdict import NOTICE, PointVerdict, SetVerdict, Verdict

pytest.importorskip("highdicom", reason="no highdicom here: pip install 'bonexray[sr]'")

from highdicom.sr import srread

from bonexray.serving.dicom.capture import banner, picture, secondary_capture
from bonexray.serving.dicom.codes import class_concept, point_of, probability_of
from bonexray.serving.dicom.identity import Author
from bonexray.serving.dicom.report import structured_report
from bonexray.serving.files import overlay

CLASSES = ["osteoporosis", "normal", "Grad Ü"]
OWN = np.array([0.7, 0.2, 0.1])
LEVELS = np.random.default_rng(7).integers(0, 4096, (40, 30), np.uint16)
LINKS = {"StudyInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3.4.5", "SOPInstanceUID": "1.2.3.4.5.6"}
PATIENT = {"PatientSex": "F", "PatientBirthDate": "19500102", "StudyDate": "20261130", "AccessionNumber": "A-77"}
AUTHOR = Author("vgg16", "VGG16", "ab" * 32, "0.2.0", ("fingerprint of the training: " + "ab" * 32, "filter bm3d"))
FULL = Verdict(
    predicted="osteoporosis",
    calibrated=True,
    probabilities=np.array([0.6123456789, 0.3, 0.0876543211]),
    own=OWN,
    operating=PointVerdict(["osteoporosis"], 0.7, 0.41),
    members=SetVerdict(["osteoporosis", "normal"], 0.9),
)
VERDICTS = {
    "all": FULL,
    "the model alone": replace(FULL, calibrated=False, probabilities=OWN, operating=None, members=None),
    "negative, and an empty set": replace(
        FULL, operating=PointVerdict(["osteoporosis", "Grad Ü"], 0.8, 0.9), members=SetVerdict([], 0.95)
    ),
}
KINDS = {
    "computed": {"SOPClassUID": uid.ComputedRadiographyImageStorage, "Laterality": "L"},
    "digital": {"SOPClassUID": uid.DigitalXRayImageStorageForPresentation, "ImageLaterality": "R"},
    "captured, after JPEG": {
        "SOPClassUID": uid.SecondaryCaptureImageStorage,
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 12.5,
        "LossyImageCompressionMethod": "ISO_10918_1",
    },
}
each_verdict = pytest.mark.parametrize("said", VERDICTS.values(), ids=VERDICTS)


def xray(**elements: object) -> bytes:
    return dicom_file(LEVELS, **{"BitsStored": 12, **LINKS, **PATIENT, **elements})


@pytest.fixture
def source_of(tmp_path: Path) -> Callable[..., Dataset]:
    """Return a function that reads the header of an X-ray with these elements."""
    return lambda **elements: read_source(written(tmp_path / "x.dcm", xray(**elements)))


def answer() -> Answer:
    ramp = np.linspace(0, 1, 32 * 32).reshape(32, 32)
    return Answer("osteoporosis", OWN, None, np.sqrt(ramp), ramp.T)


def report_of(source: Dataset, said: Verdict = FULL, author: Author = AUTHOR) -> Dataset:
    return structured_report(source, author, CLASSES, said)


def capture_of(source: Dataset, said: Verdict = FULL, author: Author = AUTHOR) -> Dataset:
    return secondary_capture(source, author, said, answer())


def saved(made: Dataset, path: Path) -> Dataset:
    made.save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)


def items(node: Dataset, name: str | None = None) -> list[Dataset]:
    """All content items below a node, in order, or those of a name."""
    below = [deep for item in node.get("ContentSequence", []) for deep in (item, *items(item))]
    return [item for item in below if name in (None, meaning(item))]


def meaning(item: Dataset) -> str:
    return item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else ""


def number(item: Dataset) -> float:
    """The share that an item states as a percentage."""
    (measured,) = item.MeasuredValueSequence
    assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    return float(measured.NumericValue) / 100


def code(item: Dataset) -> tuple[str, str]:
    concept = item.ConceptCodeSequence[0]
    return concept.CodeValue, concept.CodingSchemeDesignator


# Structured reports


@each_verdict
def test_a_report_says_what_the_model_says(source_of: Callable[..., Dataset], tmp_path: Path, said: Verdict) -> None:
    read = saved(report_of(source_of(), said), tmp_path / "x.sr.dcm")
    for name, likely in zip(CLASSES, said.probabilities, strict=True):
        (measured,) = items(read, f"Probability of {name}")
        assert number(measured) == pytest.approx(likely, abs=1e-6)
        (method,), (finding,) = items(measured, "Measurement Method"), items(measured, "Finding")
        assert code(method)[0] == ("CALIBRATED" if said.calibrated else "OWN")
        assert code(finding) == (class_concept(name).value, class_concept(name).scheme_designator)
    (predicted,) = items(read, "Most probable class, by the model's own probabilities")
    assert code(predicted) == ("64859006", "SCT")
    points = [item for item in items(read) if meaning(item).startswith("At the operating point")]
    if said.operating:
        (point,), (threshold,) = points, items(read, "Threshold Value")
        assert meaning(point) == f"At the operating point for {' or '.join(said.operating.positive)}"
        assert code(point) == (("10828004" if said.operating.is_positive else "260385009"), "SCT")
        assert number(threshold) == pytest.approx(said.operating.threshold)
    else:
        assert points == items(read, "Threshold Value") == []
    members = [code(item)[0] for item in items(read, "Class in the prediction set")]
    expected = [class_concept(name).value for name in said.members.classes] or ["SET_EMPTY"] if said.members else []
    assert members == expected


def test_a_report_says_who_answers_about_which_image_and_for_what_it_is_good(
    source_of: Callable[..., Dataset], tmp_path: Path
) -> None:
    read = saved(report_of(source_of()), tmp_path / "x.sr.dcm")
    texts = {name: [item.TextValue for item in items(read, name)] for name in ("Algorithm Name", "Algorithm Version")}
    assert texts == {"Algorithm Name": ["bonexray vgg16"], "Algorithm Version": ["0.2.0"]}
    assert [item.TextValue for item in items(read, "Algorithm Parameters")] == list(AUTHOR.parameters)
    (image,) = items(read, "Source of Measurement")
    referred = image.ReferencedSOPSequence[0]
    assert referred.ReferencedSOPInstanceUID == LINKS["SOPInstanceUID"]
    evidence = read.CurrentRequestedProcedureEvidenceSequence[0]
    series = evidence.ReferencedSeriesSequence[0]
    assert (evidence.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3.4", "1.2.3.4.5")
    assert series.ReferencedSOPSequence[0].ReferencedSOPClassUID == uid.DigitalXRayImageStorageForPresentation
    assert [item.TextValue for item in items(read, "Comment")] == [NOTICE, NOTICE]
    assert meaning(read.ContentSequence[-2]) == "Comment"  # before the measurements, where viewers begin
    assert (read.CompletionFlag, read.PreliminaryFlag, read.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )


def test_a_report_is_a_measurement_report_to_other_software(source_of: Callable[..., Dataset], tmp_path: Path) -> None:
    saved(report_of(source_of()), tmp_path / "x.sr.dcm")
    read = srread(tmp_path / "x.sr.dcm")
    (group,) = read.content.get_image_measurement_groups()
    assert [measurement.value for measurement in group.get_measurements(probability_of("normal"))] == [30.0]
    assert group.get_qualitative_evaluations(point_of(["osteoporosis"]))[0].value.meaning == "Positive"


def test_a_viewer_names_every_item(source_of: Callable[..., Dataset], tmp_path: Path) -> None:
    """Items of a continuous container are prose, which viewers show without their names."""
    read = saved(report_of(source_of()), tmp_path / "x.sr.dcm")
    containers = [item for item in (read, *items(read)) if item.ValueType == "CONTAINER"]
    assert len(containers) == 3 and {item.ContinuityOfContent for item in containers} == {"SEPARATE"}


# Secondary captures


@each_verdict
def test_a_capture_shows_the_heat_map_under_a_banner(
    source_of: Callable[..., Dataset], tmp_path: Path, said: Verdict
) -> None:
    read = saved(capture_of(source_of(), said), tmp_path / "x.heatmap.dcm")
    assert list(read.ImageType[:2]) == ["DERIVED", "SECONDARY"] and read.PhotometricInterpretation == "RGB"
    halves = np.asarray(overlay(answer().image, answer().heat))
    top = read.Rows - len(halves)
    np.testing.assert_array_equal(read.pixel_array[top:], halves)
    assert read.pixel_array[:top].max() > 200  # the letters of the banner
    lines = banner(said, AUTHOR)
    assert f"{100 * said.probabilities[0]:.1f} %" in lines[0] and "osteoporosis" in lines[0]
    assert len(lines) == 1 + (said.operating is not None) + (said.members is not None)
    assert NOTICE in read.DerivationDescription and read.ImageComments == NOTICE
    (image,) = read.SourceImageSequence
    assert image.ReferencedSOPInstanceUID == LINKS["SOPInstanceUID"]


def test_a_long_banner_fits_by_smaller_letters() -> None:
    long = replace(FULL, members=SetVerdict([f"class number {place}" for place in range(8)], 0.9))
    pixels = picture(answer(), long, AUTHOR)
    assert pixels.shape == picture(answer(), FULL, AUTHOR).shape
    top = len(pixels) - overlay(answer().image, answer().heat).height
    assert (pixels[:top, -4:] == 0).all()  # nothing reaches the edge


# Both


@pytest.mark.parametrize("make", [report_of, capture_of], ids=["report", "capture"])
def test_an_answer_is_the_patients_own_and_says_that_it_is_research(
    source_of: Callable[..., Dataset], tmp_path: Path, make: Callable[..., Dataset]
) -> None:
    read = saved(make(source_of()), tmp_path / "answer.dcm")
    kept = {**PATIENT, "PatientID": SECRET_ID, "PatientName": SECRET_NAME, "StudyInstanceUID": "1.2.3.4"}
    assert {name: str(read[name].value) for name in kept} == kept
    assert read.ContentQualification == "RESEARCH" and "not for diagnosis" in read.SeriesDescription
    assert (read.Manufacturer, read.ManufacturerModelName, read.DeviceSerialNumber) == ("bonexray", "VGG16", "ab" * 32)


@pytest.mark.parametrize("make", [report_of, capture_of], ids=["report", "capture"])
def test_the_same_answer_is_the_same_object_and_another_one_is_not(
    source_of: Callable[..., Dataset], make: Callable[..., Dataset]
) -> None:
    first, second = make(source_of()), make(source_of())
    assert first.SOPInstanceUID == second.SOPInstanceUID and uid.UID(first.SOPInstanceUID).is_valid
    others = [
        make(source_of(SOPInstanceUID="1.2.3.4.5.7")),
        make(source_of(), author=replace(AUTHOR, fingerprint="cd" * 32)),
        make(source_of(), replace(FULL, probabilities=np.array([0.61, 0.3, 0.09]))),
        make(source_of(), replace(FULL, members=None)),
        make(source_of(), replace(FULL, operating=PointVerdict(["osteoporosis"], 0.7, 0.71))),
    ]
    assert len({made.SOPInstanceUID for made in (first, *others)}) == 1 + len(others)
    series = [made.SeriesInstanceUID for made in (first, *others)]
    assert series[1] == series[0] != series[2] and len(set(series)) == 2


def test_a_report_and_a_capture_are_two_series_after_that_of_the_image(source_of: Callable[..., Dataset]) -> None:
    source = source_of(SeriesNumber=3, InstanceNumber=4)
    report, capture = report_of(source), capture_of(source)
    assert (report.SeriesNumber, capture.SeriesNumber) == (301, 302)
    assert report.SeriesInstanceUID != capture.SeriesInstanceUID and report.InstanceNumber == 4


# Names of classes


def test_classes_have_standard_codes_where_there_are_some() -> None:
    assert class_concept("Osteoporosis").value == "64859006" and class_concept("normal").scheme_designator == "SCT"
    names = ["kl3", "x" * 100, "x" * 99 + "y", "Grad Ü"]
    for concept in (class_concept, probability_of):
        concepts = [concept(name) for name in names]
        assert len({made.value for made in concepts}) == len(names)
        assert all(made.scheme_designator == "99BONEXRAY" and len(made.value) <= 16 for made in concepts)
        assert all(len(made.meaning) <= 64 for made in concepts)
    assert point_of(["a", "b"]).value != point_of(["a b"]).value


# Headers


HEADERS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "an old date": ({"StudyDate": "2026.11.30"}, {"StudyDate": "20261130"}),
    "an impossible date": ({"StudyDate": "20261399"}, {"StudyDate": None}),
    "an impossible time": ({"StudyTime": "tomorrow"}, {"StudyTime": None}),
    "another sex": ({"PatientSex": "female"}, {"PatientSex": None}),
    "no name": ({"PatientName": None, "PatientBirthDate": None}, {"PatientName": None, "PatientBirthDate": None}),
    "one name": ({"PatientName": "SECRETNAME"}, {"PatientName": "SECRETNAME"}),
    "a negative number": ({"SeriesNumber": -2, "InstanceNumber": 0}, {"SeriesNumber": 1, "InstanceNumber": 1}),
    "letters of another alphabet": (
        {"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Люкceмбypг"},
        {"PatientName": "Люкceмбypг"},
    ),
    "three alphabets": (
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
    ),
}


@pytest.mark.filterwarnings("ignore:Invalid value")  # pydicom's, of what a test writes
@pytest.mark.parametrize(("elements", "kept"), HEADERS.values(), ids=HEADERS)
def test_a_careless_header_gets_an_answer_without_a_word(
    source_of: Callable[..., Dataset],
    tmp_path: Path,
    elements: dict[str, object],
    kept: dict[str, object],
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = written(tmp_path / "x.dcm", xray(**elements))
    recwarn.clear()
    caplog.clear()
    source = read_source(path)
    assert {name: source.get(name) and str(source[name].value) for name in kept} == {
        name: value if value is None else str(value) for name, value in kept.items()
    }
    predictor = StandIn()
    from bonexray.serving.dicom.writing import captures, reports

    for column in (reports, captures):
        read = pydicom.dcmread(column(predictor, tmp_path / "out")(path, answer()))
        assert str(read.PatientName or "") == str(source.PatientName or "")
    assert capfd.readouterr() == ("", "") and list(recwarn) == [] and caplog.records == []


class StandIn:
    """A predictor of which only the description is needed."""

    classes, facts = CLASSES, None

    class card:  # noqa: N801
        model, mode, img_px, fingerprint, leak_suspect = "vgg16", "frozen", 32, "ab" * 32, True

        class denoise:  # noqa: N801
            method = "median"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "not a UID") for name in LINKS),
        ("StudyInstanceUID", None),
        ("SeriesInstanceUID", None),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_an_x_ray_to_which_nothing_can_refer_is_refused(
    source_of: Callable[..., Dataset], name: str, value: str | None
) -> None:
    with pytest.raises(UnreadableImage, match=f"without a valid {name}"):
        source_of(**{name: value})


# The command


@pytest.fixture
def here(trained_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained_study)


def bonexray(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_both_beside_the_table(here: None, tmp_path: Path) -> None:
    from bonexray.serving.study import study_bundle
    from bonexray.serving.verdict import verdict
    from bonexray.study import load_settings

    folder, reports, captures = tmp_path / "scans", tmp_path / "reports", tmp_path / "captures"
    written(folder / "a.dcm", xray())
    written(folder / "deep/a.dcm", xray(SOPInstanceUID="1.2.3.4.5.7"))
    written(folder / "lost.dcm", xray(StudyInstanceUID=None))
    done = bonexray("predict", folder, "--model", SCRATCH, "--dicom-sr", reports, "--dicom-heatmap", captures)
    assert done.exit_code == 1 and "lost.dcm: DICOM without a valid StudyInstanceUID" in done.stderr
    table = pd.read_csv(io.StringIO(done.stdout))
    assert [Path(file).name for file in table["dicom_sr"]] == ["a.sr.dcm", "a-2.sr.dcm"]
    assert sorted(path.name for path in captures.iterdir()) == ["a-2.heatmap.dcm", "a.heatmap.dcm"]
    assert len(list(reports.iterdir())) == 2
    predictor = Predictor(study_bundle(load_settings(), SCRATCH))
    for row, path in zip(table.itertuples(), (folder / "a.dcm", folder / "deep/a.dcm"), strict=True):
        said = verdict(predictor.classes, predictor.facts, predictor.predict([path])[0])
        read = pydicom.dcmread(row.dicom_sr)
        for name, likely in zip(predictor.classes, said.probabilities, strict=True):
            assert number(items(read, f"Probability of {name}")[0]) == pytest.approx(likely, abs=1e-5)
        assert pydicom.dcmread(row.dicom_heatmap).pixel_array.shape[1:] == (768, 3)
        assert any(predictor.card.fingerprint in item.TextValue for item in items(read, "Algorithm Parameters"))
    assert SECRET_ID not in done.output and SECRET_NAME not in done.output


def test_what_is_not_dicom_is_refused_before_any_work(here: None, tmp_path: Path) -> None:
    written(tmp_path / "scans/a.dcm", xray())
    written(tmp_path / "scans/b.txt", b"no X-ray")
    others = len(list(Path("data/raw/normal").iterdir()))
    for option in ("--dicom-sr", "--dicom-heatmap"):
        done = bonexray("predict", tmp_path / "scans", "data/raw/normal", "--model", "none", option, tmp_path / "out")
        assert isinstance(done.exception, BonexrayError)
        line = str(done.exception)
        assert f"{option}: expected DICOM files, received {tmp_path / 'scans/b.txt'} and {others} more" in line
        assert not (tmp_path / "out").exists()
        done = bonexray("predict", tmp_path / "scans", "--model", "none", option, tmp_path / "scans")
        assert isinstance(done.exception, BonexrayError) and "a folder outside" in str(done.exception)


def test_a_folder_among_the_inputs_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "scans/a.dcm", xray())
    for folder in (tmp_path / "scans", tmp_path / "scans/deep/answers"):
        with pytest.raises(BonexrayError, match="--dicom-sr: expected a folder outside"):
            require_apart("--dicom-sr", folder, [tmp_path / "scans"])
    require_apart("--dicom-sr", tmp_path / "answers", [tmp_path / "scans", tmp_path / "scans/a.dcm"])


def test_without_highdicom_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonexray.serving.dicom.writing.find_spec", lambda name: None)
    with pytest.raises(BonexrayError, match=r"--dicom-sr: expected highdicom.*pip install 'bonexray\[sr\]'"):
        require_dicom("--dicom-sr", [])


# A validator


def complaints(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy here: apt-get install dicom3tools")
@pytest.mark.parametrize("kind", KINDS)
@each_verdict
def test_dciodvfy_finds_no_error(source_of: Callable[..., Dataset], tmp_path: Path, kind: str, said: Verdict) -> None:
    source = source_of(**KINDS[kind])
    for name, made in (("report", report_of(source, said)), ("capture", capture_of(source, said))):
        saved(made, tmp_path / f"{name}.dcm")
        assert complaints(tmp_path / f"{name}.dcm") == [], name
        del made.SeriesInstanceUID
        saved(made, tmp_path / "broken.dcm")
        assert complaints(tmp_path / "broken.dcm") != []
