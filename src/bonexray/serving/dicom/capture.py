"""The answer as a secondary capture: the network's input beside its heat map, under a banner."""

from hashlib import sha256
from pathlib import Path

import matplotlib
import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from bonexray.serving.dicom.identity import Author, series_number, uid_of
from bonexray.serving.dicom.source import LOSSY
from bonexray.serving.files import overlay
from bonexray.serving.predictor import Answer
from bonexray.serving.verdict import NOTICE, Verdict

_FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
_LINE_PX, _LETTERS_PX, _SMALLEST_PX, _MARGIN_PX = 26, 18, 9, 8
_WARNING, _PLAIN = (255, 190, 90), (235, 235, 235)


def secondary_capture(source: Dataset, author: Author, said: Verdict, answer: Answer) -> SCImage:
    """Return the picture of one X-ray's answer.

    Its UID depends on the X-ray, the model and the pixels, so the same answer is the same object.

    Args:
        source: what `read_source` returns.
        author: the model.
        said: the answer.
        answer: with the network's input and the heat map.
    """
    pixels = picture(answer, said, author)
    capture = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # highdicom asks for one; emptied below, because it is not known
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=uid_of("capture series", source.SeriesInstanceUID, author.fingerprint),
        series_number=series_number(source, 2),
        sop_instance_uid=uid_of(
            "capture", source.SOPInstanceUID, author.fingerprint, sha256(pixels.tobytes()).hexdigest()
        ),
        instance_number=source.InstanceNumber,
        manufacturer="bonexray",
        manufacturer_model_name=author.title,
        software_versions=author.version,
        device_serial_number=author.fingerprint[:64],
        series_description=author.series_description,
        content_qualification="RESEARCH",
        specific_character_set="ISO_IR 192",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    capture.copy_patient_and_study_information(source)
    _describe(capture, source, said)
    return capture


def picture(answer: Answer, said: Verdict, author: Author) -> np.ndarray:
    """Return uint8 (height, width, 3): a banner, and below it the network's input, alone and under the heat map."""
    halves = overlay(answer.image, answer.heat)
    lines = [NOTICE.upper(), *banner(said, author)]
    whole = Image.new("RGB", (halves.width, halves.height + len(lines) * _LINE_PX + _MARGIN_PX))
    whole.paste(halves, (0, whole.height - halves.height))
    draw = ImageDraw.Draw(whole)
    for number, text in enumerate(lines):
        middle = _MARGIN_PX // 2 + (number + 0.5) * _LINE_PX
        font = _fitting(text, whole.width - 2 * _MARGIN_PX)
        draw.text((_MARGIN_PX, middle), text, _PLAIN if number else _WARNING, font, anchor="lm")
    return np.asarray(whole)


def banner(said: Verdict, author: Author) -> list[str]:
    """Return what the banner says below the notice: the class, the operating point, the prediction set."""
    how = "calibrated" if said.calibrated else "the model's own"
    likely = 100 * float(said.probabilities[said.own.argmax()])
    lines = [f"{author.title}: {said.predicted}, probability {likely:.1f} % ({how}). Right: heat map."]
    if point := said.operating:
        side = "positive" if point.is_positive else "negative"
        numbers = f"{point.probability:.3f} {'≥' if point.is_positive else '<'} {point.threshold:.3f}"
        lines.append(f"At the operating point: {side} for {' or '.join(point.positive)}, {numbers}.")
    if said.members:
        lines.append(f"Prediction set: {' or '.join(said.members.classes) or 'no class is probable enough'}.")
    return lines


def _fitting(text: str, width_px: int) -> ImageFont.FreeTypeFont:
    """Return the font in the largest size in which a text fits; one that never fits is cut off at the edge."""
    sizes = range(_LETTERS_PX, _SMALLEST_PX - 1, -1)
    fonts = (ImageFont.truetype(_FONT, size) for size in sizes)
    return next((font for font in fonts if font.getlength(text) <= width_px), ImageFont.truetype(_FONT, _SMALLEST_PX))


def _describe(capture: SCImage, source: Dataset, said: Verdict) -> None:
    """Say what the picture is made of; it is as lossy as its source."""
    capture.PatientOrientation = None
    capture.ConversionType = "WSD"  # made on a workstation
    capture.ImageComments = NOTICE
    capture.DerivationDescription = f"As the network sees it, and its heat map for {said.predicted}. {NOTICE}"
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    image.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)]
    capture.SourceImageSequence = [image]
    capture.Laterality = source.get("ImageLaterality") or source.get("Laterality")
    for name in ("BurnedInAnnotation", *LOSSY):
        if name in source:
            capture[name] = source[name]
