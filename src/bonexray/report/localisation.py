"""The section of the report on localisation: do heat maps point at the finding, more than what sees no image?"""

from collections.abc import Iterator, Mapping

from bonexray.report.data import Study
from bonexray.report.tables import Cell, Table
from bonexray.results.wording import count, listed, number, span

SCORES = {
    "pointing": "Pointing game",
    "energy": "Energy in the box",
    "iou": "IoU with the box",
    "outline_iou": "IoU with the outline",
    "outline_dice": "Dice with the outline",
}
REFERENCES = {"centre": "the centre of the image", "mean_box": "the mean box of training", "random": "random weights"}
RANDOM = "random"


def localisation_table(study: Study) -> Table | None:
    """Return the table of every network and kind of heat map beside the references; None without boxes."""
    if not study.localisation:
        return None
    scores = {key: title for key, title in SCORES.items() if any(key in line for _, _, line in _lines(study))}
    rows = [
        [Cell(model), Cell(kind), *(Cell(number(line.get(key)), span(line, key)) for key in scores)]
        for model, kind, line in _lines(study)
    ]
    caption = (
        f"Heat maps on {count(study.localisation['images'], 'test image')} of "
        f"{count(study.localisation['patients'], 'patient')} with boxes, with {study.confidence} intervals over patients"
    )
    return Table("localisation", caption, ("Model", "Map", *scores.values()), rows, text_columns=(0, 1))


def localisation_sentence(study: Study) -> str:
    """Say which maps point at the finding more often than every reference; empty without boxes."""
    if not study.localisation:
        return ""
    kinds = study.localisation["kinds"]
    above = [
        f"{kinds[kind]} of {study.titles[name]} ({number(scores['pointing'])})"
        for name, found in study.localisation["models"].items()
        for kind, scores in found.items()
        if kind != RANDOM and all(scores[f"above_{reference}_low"] > 0 for reference in REFERENCES)
    ]
    references = listed(list(REFERENCES.values()))
    if not above:
        return f"No heat map points at the finding more often than each of {references}, beyond chance."
    return f"More often than each of {references}, beyond chance, these point at the finding: {listed(above)}."


def _lines(study: Study) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    found = study.localisation
    for reference, scores in found["references"].items():
        yield "no image", REFERENCES[reference], scores
    for name, kinds in found["models"].items():
        for kind, scores in kinds.items():
            yield study.titles.get(name, name), found["kinds"][kind], scores
