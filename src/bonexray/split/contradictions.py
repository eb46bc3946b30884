"""Find images that have several labels: the right one is unknown, so none of them can be used."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from bonexray.split.audit import AuditedImage
from bonexray.split.grouping import connected
from bonexray.split.lookalikes import Pair

CERTAIN = 0.8  # likeness; JPEGs of quality 60 reach it, and different radiographs stayed below it (benchmarks/audit.py)
SAME, COPY = "the same image under", "a copy of"  # how the two reasons begin


def refuse_contradictions(images: Sequence[AuditedImage], pairs: Sequence[Pair]) -> list[AuditedImage]:
    """Give a reason to images with the same pixels, or to copies beyond doubt, under several labels.

    A pair below `CERTAIN` may be two radiographs of one bone, taken at different times, so both labels may be right:
    such images are grouped and reported, but kept.

    Args:
        images: all images of the dataset.
        pairs: copies among them, by row.
    """
    names = [item.pixels_sha256 or f"path:{item.source.path}" for item in images]
    certain = [pair for pair in pairs if pair.likeness >= CERTAIN]
    components = connected([names], certain)
    same, copies = _labels(images, names), _labels(images, components)
    partners = _partners(images, certain)
    refused = []
    for item, name, component in zip(images, names, components, strict=True):
        if item.reason is None and len(same[name]) > 1:
            item = replace(item, reason=f"{SAME} {_listed(same[name])}")
        elif item.reason is None and len(copies[component]) > 1:
            item = replace(item, reason=f"{COPY} {partners[name]}; copies are under {_listed(copies[component])}")
        refused.append(item)
    return refused


def among_usable(images: Sequence[AuditedImage], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of two usable images, by their row among the usable images."""
    rows = {row: number for number, row in enumerate(r for r, item in enumerate(images) if item.reason is None)}
    return [Pair(rows[p.one], rows[p.other], p.likeness) for p in pairs if p.one in rows and p.other in rows]


def _labels(images: Sequence[AuditedImage], keys: Sequence[object]) -> dict[object, set[str]]:
    labels = defaultdict(set)
    for item, key in zip(images, keys, strict=True):
        if item.reason is None:
            labels[key].add(item.source.label)
    return labels


def _partners(images: Sequence[AuditedImage], pairs: Sequence[Pair]) -> dict[str, str]:
    """Return the path of the most similar image, by the hash of the pixels."""
    partners: dict[str, str] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.likeness):
        one, other = images[pair.one], images[pair.other]
        partners.setdefault(one.pixels_sha256, other.source.path)
        partners.setdefault(other.pixels_sha256, one.source.path)
    return partners


def _listed(labels: set[str]) -> str:
    return f"{len(labels)} labels: {', '.join(sorted(labels))}"
