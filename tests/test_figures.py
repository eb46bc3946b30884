"""Figures: no text is cut off or overlaps, the same data give the same bytes, and statements are right."""

import itertools
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from drawings import DRAWINGS, HEAD, counts_of, images, pairs_of, predictions, table_of, titles_of
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from bonexray.figures.comparison.cost import pareto_front
from bonexray.figures.comparison.pairs import pair_matrix
from bonexray.figures.comparison.panel import model_comparison
from bonexray.figures.images.galleries import misclassified, surest_errors
from bonexray.figures.model.confusion import confusion_matrix


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that the test has saved, in order."""
    figures: list[Figure] = []
    write = Figure.savefig

    def save(self: Figure, *arguments: object, **options: object) -> None:
        figures.append(self)
        write(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


def texts_of(drawing: Figure) -> list[tuple[str, Bbox]]:
    """Return the visible texts of a figure, legends and tick labels included, with their boxes in pixels."""
    texts = [t for t in drawing.findobj(Text) if t.get_visible() and t.get_text().strip()]
    for axis in drawing.axes:
        if not axis.axison:
            texts = [text for text in texts if text.axes is not axis or text in axis.texts]
        hidden = [
            label
            for side in (axis.xaxis, axis.yaxis)
            for tick in (*side.get_major_ticks(), *side.get_minor_ticks())
            for label in (tick.label1, tick.label2)
            if not inside_view(side, tick.get_loc())
        ]
        texts = [text for text in texts if text not in hidden]
    return [(text.get_text(), text.get_window_extent()) for text in texts]


def inside_view(side: mpl.axis.Axis, value: float) -> bool:
    low, high = sorted(side.get_view_interval())
    return low - 1e-9 <= value <= high + 1e-9


def overlapping(boxes: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Return pairs of texts that overlap by more than a pixel in both directions."""
    low = np.array([box.min for _, box in boxes]) + 1
    high = np.array([box.max for _, box in boxes]) - 1
    meet = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=2)
    return [(boxes[one][0], boxes[other][0]) for one, other in np.argwhere(np.triu(meet, 1))]


@pytest.mark.parametrize("name", DRAWINGS)
def test_text_is_inside_the_figure_and_does_not_overlap(name: str, saved: list[Figure], tmp_path: Path) -> None:
    path = tmp_path / "new" / "figure.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DRAWINGS[name](path)
    (drawing,) = saved
    boxes = texts_of(drawing)
    assert boxes
    assert overlapping(boxes) == []
    edge = drawing.bbox.padded(0.5)
    assert [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))] == []
    plots = [axis.get_window_extent() for axis in drawing.axes[1:]]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(plots, 2))
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 100
        assert np.asarray(image.convert("L")).std() > 1


LIGHT = [
    name for name in DRAWINGS if name.endswith((", 2 classes", ", 2 models", "1 epoch", "diagram")) and "23" not in name
]


@pytest.mark.parametrize("name", LIGHT)
def test_the_same_data_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for copy in ("one.png", "two.png"):
        DRAWINGS[name](tmp_path / copy)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_different_data_give_a_different_figure(tmp_path: Path) -> None:
    confusion_matrix(counts_of(2), "", tmp_path / "one.png")
    confusion_matrix(counts_of(2, most=9), "", tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def text_of(drawing: Figure) -> str:
    """Return all text of a figure in one line."""
    return " ".join(" ".join(text.get_text() for text in drawing.findobj(Text)).split())


def test_wrong_predictions_are_sorted_by_confidence() -> None:
    rows = pd.DataFrame({"label": list("aabba"), "predicted": list("babab"), "prob_a": [0.4, 1, 0, 0.9, 0.1]})
    rows["prob_b"] = 1 - rows["prob_a"]
    assert surest_errors(rows) == [3, 4, 0]


def test_the_gallery_counts_wrong_predictions_and_reads_only_images_it_shows(
    saved: list[Figure], tmp_path: Path
) -> None:
    indices = []

    class Counting(list):
        def __getitem__(self, index: int) -> np.ndarray:
            indices.append(index)
            return super().__getitem__(index)

    pictures = Counting(images(30))
    misclassified(pictures, predictions(30, 3, 20), HEAD, tmp_path / "wrong.png")
    assert "wrong: 20 of 30 test images, here the 12 most confident" in text_of(saved[0])
    assert indices == list(range(12))
    misclassified(pictures, predictions(30, 3, 0), HEAD, tmp_path / "none.png")
    assert "All 30 test images are classified correctly." in text_of(saved[1])


def test_names_wider_than_a_cell_are_rotated(saved: list[Figure], tmp_path: Path) -> None:
    names = ["osteoporosis", "osteopenia", *"abcd"]
    confusion_matrix({actual: dict.fromkeys(names, 1) for actual in names}, HEAD, tmp_path / "counts.png")
    rotations = [text.get_rotation() for text in saved[0].findobj(Text) if text.get_text() == "osteoporosis"]
    assert sorted(rotations) == [0, 90]


def markers_of(drawing: Figure) -> list[tuple[str, bool]]:
    """Return the marker of each model in the order of the rows, and whether it is filled."""
    points = [line for line in drawing.axes[1].lines if line.get_marker() not in ("None", None)]
    return [(str(line.get_marker()), line.get_markerfacecolor() != "white") for line in points]


def test_markers_show_ensembles_and_models_no_worse_than_the_best(saved: list[Figure], tmp_path: Path) -> None:
    names = titles_of(4)
    model_comparison(table_of(4), names[2], tmp_path / "a.png", alike=names[2:], ensembles=names[1:2])
    assert markers_of(saved[0]) == [("o", True), ("o", True), ("D", False), ("o", False)]
    model_comparison(table_of(4), names[2], tmp_path / "b.png")
    assert markers_of(saved[1]) == [("o", True)] * 4
    legends = [" ".join(text.get_text() for text in drawing.legends[0].get_texts()) for drawing in saved]
    assert all(word in legends[0] for word in ("filled", "hollow", "diamond", "chosen", "vermilion", "0.33"))
    assert not any(word in legends[1] for word in ("filled", "hollow", "diamond"))


@pytest.mark.parametrize("ceiling", [None, 0.9])
def test_the_comparison_has_a_labelled_line_at_the_ceiling(
    ceiling: float | None, saved: list[Figure], tmp_path: Path
) -> None:
    model_comparison(table_of(4), HEAD, tmp_path / "a.png", ceiling=ceiling)
    lines = [line for line in saved[0].axes[1].lines if line.get_linestyle() == "-."]
    assert [list(line.get_xdata()) for line in lines] == ([[0.9, 0.9]] if ceiling else [])
    legend = [text.get_text() for text in saved[0].legends[0].get_texts()]
    assert ("ceiling, from the true bone of the simulation: 0.90" in legend) == bool(ceiling)


def test_a_difference_is_row_minus_column_in_either_order_of_the_pair(saved: list[Figure], tmp_path: Path) -> None:
    for one, other, difference in (("a", "b", 0.2), ("b", "a", -0.2)):
        pairs = pd.DataFrame([(one, other, difference, 0.04)], columns=list(pairs_of(2)))
        pair_matrix(pairs, ["a", "b"], {"a": "first", "b": "second"}, tmp_path / "pairs.png")
        assert "−0.20" in text_of(saved[-1])
        assert "1 of 1 pairs" in text_of(saved[-1])


def test_an_undefined_difference_is_not_significant(saved: list[Figure], tmp_path: Path) -> None:
    pairs = pd.DataFrame([("a", "b", np.nan, np.nan)], columns=list(pairs_of(2)))
    pair_matrix(pairs, ["a", "b"], {"a": "first", "b": "second"}, tmp_path / "pairs.png")
    assert "0 of 1 pairs" in text_of(saved[0])


models = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(models)
def test_the_pareto_front_is_not_dominated_and_dominates_all_others(points: list[tuple[int, int]]) -> None:
    cost, quality = np.array(points, dtype=float).T
    front = pareto_front(cost, quality)
    for index, on_front in enumerate(front):
        dominates = (cost <= cost[index]) & (quality >= quality[index])
        dominates &= (cost < cost[index]) | (quality > quality[index])
        assert on_front == (not dominates.any())
        assert on_front or (dominates & front).any()
