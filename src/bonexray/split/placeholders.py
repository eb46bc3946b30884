"""Take patients from where `dataset.patients` says, and never from a patient ID that is a placeholder."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from bonexray.dataset.settings import Dataset
from bonexray.split.audit import AuditedImage

MANY, TIMES = 8, 4  # images of one ID, and times the median of the others, from which its classes and sizes count
ADVICE = "name the patients in a CSV file (dataset.group_column) or by dataset.group_pattern"


def with_trusted_patients(images: Sequence[AuditedImage], dataset: Dataset) -> tuple[list[AuditedImage], list[str]]:
    """Return the images without the patients that must not group them, and notes on what was found.

    A patient ID is a placeholder if it is a known word such as `ANON`, if its files have several sexes or years of birth,
    or if far more files have it than any other, of several classes or sizes. A column of the dataset replaces the IDs of
    the images that it names.

    Args:
        images: all images of the dataset.
        dataset: where patients come from.
    """
    if dataset.patients in ("column", "pattern", "none"):
        return [replace(item, patient=None) for item in images], []
    trusted, notes = list(images), []
    words = Counter(item.placeholder for item in images if item.placeholder is not None)
    for word, count in sorted(words.items()):
        notes.append(f"{count} DICOM files have the placeholder {word!r} for a patient ID, which groups none of them")
    for key, evidence in _placeholders(images).items():
        trusted = [replace(item, patient=None) if item.patient == key else item for item in trusted]
        notes.append(f"one patient ID is a placeholder and groups none of its files: it stands in {evidence}")
    if dataset.patients == "header" and not any(item.patient or item.placeholder for item in images):
        notes.append(f"dataset.patients=header, but no file has a patient ID; {ADVICE}")
    elif notes and not dataset.group_column:
        notes.append(f"the patients of these files are unknown; {ADVICE}")
    if dataset.group_column and dataset.patients is None:
        trusted = [replace(item, patient=None) if item.source.group else item for item in trusted]
    return trusted, notes


def _placeholders(images: Sequence[AuditedImage]) -> dict[str, str]:
    """Return the patients that are several people, each with the evidence."""
    files: dict[str, list[AuditedImage]] = defaultdict(list)
    for item in images:
        if item.reason is None and item.patient:
            files[item.patient].append(item)
    sizes = {key: len(items) for key, items in files.items()}
    found = {}
    for key, items in files.items():
        facts = {
            "sexes": len({item.sex for item in items} - {None}),
            "years of birth": len({item.born for item in items} - {None}),
        }
        if max(facts.values()) < 2 and _is_crowd(len(items), [size for other, size in sizes.items() if other != key]):
            facts["classes"] = len({item.source.label for item in items})
            facts["sizes"] = len({(item.height, item.width) for item in items})
        if max(facts.values()) > 1:
            several = ", ".join(f"{number} {name}" for name, number in facts.items() if number > 1)
            found[key] = f"{len(items)} files of {several}"
    return found


def _is_crowd(files: int, others: Sequence[int]) -> bool:
    """Return whether an ID has more files than one patient can have, judged by the files of the other IDs."""
    return files > 2 if not others else files >= max(MANY, TIMES * median(others))
