"""What an answer takes from the header of its X-ray: patient, study, and what the image is.

Only the elements listed here are read. Messages quote no value of the file.
"""

from pathlib import Path

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import DA, TM

from bonexray.images.dicom_file import DicomFile
from bonexray.images.radiograph import UnreadableImage
from bonexray.images.silence import quiet

PATIENT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
STUDY = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
IMAGE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Laterality",
    "ImageLaterality",
    "BurnedInAnnotation",
)
LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
_EMPTY = (  # which every DICOM object has, if only without a value
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_CODES = {  # whose other values are malformed
    "PatientSex": ("M", "F", "O"),
    "Laterality": ("L", "R"),
    "ImageLaterality": ("L", "R"),
    "BurnedInAnnotation": ("YES", "NO"),
    "PatientIdentityRemoved": ("YES", "NO"),
}


def read_source(path: Path) -> Dataset:
    """Return the elements of an X-ray's header that its answer repeats or refers to, as Unicode; those that are malformed
    are left out.

    Args:
        path: of a DICOM file.

    Raises:
        UnreadableImage: a UID is missing to which the answer would refer.
    """
    with quiet():
        header = _header(path)
        source = Dataset()
        for name in (*PATIENT, *STUDY, *IMAGE, *LOSSY):
            if (value := _value(header, name)) is not None:
                setattr(source, name, value)
        if missing := [name for name in NEEDED if name not in source]:
            raise UnreadableImage(f"DICOM without a valid {', '.join(missing)}, to which the answer would refer")
        for name in _EMPTY:
            if name not in source:
                setattr(source, name, None)
        for name in ("SeriesNumber", "InstanceNumber"):
            source.setdefault(name, 1)
    return source


def _header(path: Path) -> Dataset:
    try:
        with path.open("rb") as stream:
            return DicomFile(stream).header(["SpecificCharacterSet", *PATIENT, *STUDY, *IMAGE, *LOSSY])
    except UnreadableImage:
        raise
    except Exception:  # messages of pydicom quote the file
        raise UnreadableImage("DICOM whose header cannot be read") from None


def _value(header: Dataset, name: str) -> object:
    """Return the value of an element, or None if it is missing, empty or malformed."""
    try:
        if name not in header or header[name].is_empty:
            return None
        return _sound(name, dictionary_VR(name), header[name].value)
    except Exception:
        return None


def _sound(name: str, kind: str, value: object) -> object:
    if name in LOSSY[1:]:
        return value
    text = str(value).strip("\0 ")
    if kind == "UI":
        return UID(text) if UID(text).is_valid else None
    if kind == "IS":
        return max(1, int(text))
    if kind in ("DA", "TM"):
        text = text.replace(".", "") if kind == "DA" else text  # 2026.11.30, as before DICOM 3.0
        (DA if kind == "DA" else TM)(text)  # raises if it is malformed
    return text if text in _CODES.get(name, (text,)) and text else None
