"""The section of the report on localisation: only with boxes, and with the references beside every map."""

import copy
from pathlib import Path

import pytest
from studies import SHAPES, write_study

from bonexray.base.files import write_json
from bonexray.report.contents import report_page
from bonexray.report.data import Study, read_study
from bonexray.report.localisation import REFERENCES, localisation_sentence, localisation_table
from bonexray.report.provenance import Provenance

NAME = next(name for name, shape in SHAPES.items() if shape.explained and len(shape.models) > 1)
PROVENANCE = Provenance({"keras": "3.11.1"}, ())


def scores(value: float, above: float | None = None) -> dict[str, float]:
    found = {}
    for key in ("pointing", "energy", "iou", *([] if above is None else [f"above_{name}" for name in REFERENCES])):
        middle = above if key.startswith("above") else value
        found |= {key: middle, f"{key}_low": middle - 0.1, f"{key}_high": middle + 0.1}
    return found


def study(root: Path, above: float) -> Study:
    """A study whose first model points well by its taught map if `above` exceeds 0.1."""
    settings = write_study(root, SHAPES[NAME])
    summary = {
        "images": 36,
        "patients": 30,
        "confidence": 0.95,
        "kinds": {"taught": "taught map", "gradcam": "Grad-CAM", "random": "random weights"},
        "references": {"centre": scores(0.31), "mean_box": scores(0.42)},
        "models": {
            SHAPES[NAME].models[0]: {"taught": scores(0.93, above), "gradcam": scores(0.4, 0.0), "random": scores(0.2)}
        },
    }
    write_json(root / "reports/explained/localisation.json", summary)
    return read_study(settings, root)


def test_a_study_without_boxes_says_nothing(tmp_path: Path) -> None:
    plain = read_study(write_study(tmp_path, SHAPES[NAME]), tmp_path)
    assert localisation_table(plain) is None and localisation_sentence(plain) == ""
    assert "Where in the picture" not in report_page(plain, PROVENANCE)


def test_the_page_has_each_map_beside_the_references(tmp_path: Path) -> None:
    located = study(tmp_path, above=0.4)
    table = localisation_table(located)
    assert [row[1].text for row in table.rows] == [
        "the centre of the image",
        "the mean box of training",
        "taught map",
        "Grad-CAM",
        "random weights",
    ]
    assert [row[2].text for row in table.rows] == ["0.310", "0.420", "0.930", "0.400", "0.200"]
    assert "Dice with the outline" not in table.columns
    page = report_page(located, PROVENANCE)
    assert "Where in the picture" in page and "36 test images of 30 patients" in page


@pytest.mark.parametrize(
    ("above", "words"), [(0.4, "these point at the finding: taught map of"), (0.05, "No heat map")]
)
def test_only_maps_above_every_reference_are_said_to_point(tmp_path: Path, above: float, words: str) -> None:
    located = study(tmp_path, above)
    assert words in localisation_sentence(located)
    assert "Grad-CAM of" not in localisation_sentence(located)


def test_one_reference_that_is_not_exceeded_is_enough_to_say_no(tmp_path: Path) -> None:
    located = study(tmp_path, above=0.4)
    models = copy.deepcopy(located.localisation["models"])
    next(iter(models.values()))["taught"]["above_mean_box_low"] = -0.01
    located.localisation["models"] = models
    assert localisation_sentence(located).startswith("No heat map")
