"""The answer as a structured report: an Enhanced SR that follows the template of measurement reports (TID 1500)."""

import json
from collections.abc import Sequence
from hashlib import sha256

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from bonexray.serving.dicom import codes as own
from bonexray.serving.dicom.identity import Author, series_number, uid_of
from bonexray.serving.verdict import NOTICE, PointVerdict, SetVerdict, Verdict

_DIGITS = 4  # of a percentage


def structured_report(source: Dataset, author: Author, classes: Sequence[str], said: Verdict) -> sr.EnhancedSR:
    """Return the report of one X-ray.

    The report is complete but unverified and preliminary, because no person stands behind it. Its UID depends on the
    X-ray, the model and the content, so the same answer is the same object.

    Args:
        source: what `read_source` returns.
        author: the model.
        classes: the class map.
        said: the answer.
    """
    content = _content(source, author, classes, said)
    stated = sha256(json.dumps(content[0].to_json_dict(), sort_keys=True).encode()).hexdigest()
    return sr.EnhancedSR(
        evidence=[source],
        content=content,
        series_instance_uid=uid_of("report series", source.SeriesInstanceUID, author.fingerprint),
        series_number=series_number(source, 1),
        sop_instance_uid=uid_of("report", source.SOPInstanceUID, author.fingerprint, stated),
        instance_number=source.InstanceNumber,
        manufacturer="bonexray",
        manufacturer_model_name=author.title,
        software_versions=author.version,
        device_serial_number=own.shortened(author.fingerprint, 64),
        series_description=author.series_description,
        content_qualification="RESEARCH",
        coding_schemes=[own.scheme()],
        specific_character_set="ISO_IR 192",
        is_complete=True,
        is_final=False,
        is_verified=False,
    )


def _content(source: Dataset, author: Author, classes: Sequence[str], said: Verdict) -> sr.MeasurementReport:
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=uid_of("tracking", source.SOPInstanceUID, author.fingerprint),
            identifier=own.shortened(f"bonexray {author.name}", 64),
        ),
        algorithm_id=sr.AlgorithmIdentification(
            f"bonexray {author.name}", author.version, author.parameters, codes.DCM.ArtificialIntelligence
        ),
        measurements=[*_probabilities(classes, said), *_numbers(said)],
        qualitative_evaluations=_evaluations(said),
        source_images=[sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    group[0].ContentSequence.append(_notice())  # some viewers show the groups alone
    observer = sr.DeviceObserverIdentifyingAttributes(
        uid_of("device", author.fingerprint), author.title, "bonexray", author.name, author.fingerprint
    )
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(codes.cid270.Device, observer)
        ),
        procedure_reported=codes.cid100.XRUnspecifiedBodyRegion,
        imaging_measurements=[group],
    )
    report[0].ContentSequence.insert(-1, _notice())
    for container in (report[0], report[0].ContentSequence[-1], group[0]):
        container.ContinuityOfContent = "SEPARATE"  # CONTINUOUS is prose, which viewers show without the names of items
    return report


def _notice() -> sr.TextContentItem:
    return sr.TextContentItem(codes.DCM.Comment, NOTICE, sr.RelationshipTypeValues.CONTAINS)


def _probabilities(classes: Sequence[str], said: Verdict) -> list[sr.Measurement]:
    """Return a measurement for each class, which says how it was made and, in code, of what it is."""
    method = own.CALIBRATED if said.calibrated else own.OWN
    measurements = []
    for name, likely in zip(classes, said.probabilities, strict=True):
        measurement = _number(own.probability_of(name), likely, method)
        finding = sr.CodeContentItem(
            codes.DCM.Finding, own.class_concept(name), sr.RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        measurement[0].ContentSequence.append(finding)
        measurements.append(measurement)
    return measurements


def _numbers(said: Verdict) -> list[sr.Measurement]:
    numbers = []
    if said.operating:
        numbers.append(_number(own.POSITIVE, said.operating.probability, own.OWN))
        numbers.append(_number(codes.DCM.ThresholdValue, said.operating.threshold))
    if said.members:
        numbers.append(_number(own.PROMISED, said.members.promised))
    return numbers


def _number(name: sr.CodedConcept, value: float, method: sr.CodedConcept | None = None) -> sr.Measurement:
    """Return a share as a percentage; viewers print the unit of a plain number as a second number, 1."""
    return sr.Measurement(name, round(100 * float(value), _DIGITS), codes.UCUM.Percent, method=method)


def _evaluations(said: Verdict) -> list[sr.QualitativeEvaluation]:
    return [
        sr.QualitativeEvaluation(own.PREDICTED, own.class_concept(said.predicted)),
        *(_point(said.operating) if said.operating else []),
        *(_members(said.members) if said.members else []),
    ]


def _point(point: PointVerdict) -> list[sr.QualitativeEvaluation]:
    side = codes.SCT.Positive if point.is_positive else codes.SCT.Negative
    return [sr.QualitativeEvaluation(own.point_of(point.positive), side)]


def _members(members: SetVerdict) -> list[sr.QualitativeEvaluation]:
    concepts = [own.class_concept(name) for name in members.classes] or [own.NO_MEMBER]
    return [sr.QualitativeEvaluation(own.MEMBER, concept) for concept in concepts]
