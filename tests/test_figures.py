"""Every figure, with the names and numbers that break figures: text is inside, apart, and whole."""

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from bonexray.explain.diagram import Block, Diagram
from bonexray.figures.canvas.grid import image_grid
from bonexray.figures.comparison.cost import pareto, pareto_front
from bonexray.figures.comparison.pairs import critical_difference, pair_matrix
from bonexray.figures.comparison.panel import evaluation_grid, model_comparison
from bonexray.figures.explained.architecture import architecture
from bonexray.figures.explained.heatmaps import Explained, heat_maps
from bonexray.figures.images.cohort import class_counts
from bonexray.figures.images.galleries import image_gallery, misclassified, sample_predictions, surest_errors
from bonexray.figures.model.confusion import confusion_grid, confusion_matrix
from bonexray.figures.model.curves import learning_curves, learning_overlay
from bonexray.figures.model.probability_curves import precision_recall_curves, reliability_diagram, roc_curves

HEAD = "Fusion of many networks, ünï cöde $x_1$"


def titles_of(models: int) -> list[str]:
    return [f"{HEAD} {number}" for number in range(models)]


def classes_of(count: int) -> list[str]:
    return [f"Ostéopénie_très_avancée $β$, {number}" for number in range(count)]


def counts_of(classes: int, most: int = 123_456) -> dict[str, dict[str, int]]:
    names, rng = classes_of(classes), np.random.default_rng(7)
    return {actual: {predicted: int(rng.integers(most)) for predicted in names} for actual in names}


def table_of(models: int) -> pd.DataFrame:
    value = np.linspace(0, 1, models) if models > 1 else np.array([0.5])
    table = pd.DataFrame({"title": titles_of(models), "n": 36, "baseline_balanced_accuracy": 1 / 3})
    table["collapsed"] = [int(number == 1) for number in range(models)]
    for score in ("balanced_accuracy", "accuracy", "macro_precision", "macro_recall", "macro_f1"):
        table[score], table[f"{score}_low"] = value, np.maximum(value - 0.1, 0)
        table[f"{score}_high"] = np.minimum(value + 0.1, 1)
    return table


def history(epochs: int, start: float = 1.1) -> pd.DataFrame:
    falling = np.linspace(start, 0.4, epochs)
    return pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            "phase": ["head"] * (epochs - epochs // 3) + ["network"] * (epochs // 3),
            "loss": falling,
            "accuracy": 1 - falling / 2,
            "val_loss": falling * 1.1,
            "val_accuracy": 1 - falling / 2,
        }
    )


def answers(images: int, classes: int, wrong: int) -> pd.DataFrame:
    names = classes_of(classes)
    rows = pd.DataFrame({"label": [names[n % classes] for n in range(images)]})
    rows["predicted"] = [names[(n + (n < wrong)) % classes] for n in range(images)]
    for name in names:
        rows[f"prob_{name}"] = 1 / classes
    return rows


def images(count: int) -> np.ndarray:
    return np.random.default_rng(7).random((count, 32, 32), dtype=np.float32)


def sampled(count: int, classes: int) -> pd.DataFrame:
    return answers(count, classes, count // 2).assign(probability=0.5)


def curves_of(classes: int, x: str, y: str) -> pd.DataFrame:
    line = np.linspace(0, 1, 11)
    return pd.concat(
        [
            pd.DataFrame({"class": name, x: line, y: line, "low": line / 2, "high": np.sqrt(line)})
            for name in classes_of(classes)
        ]
    )


def areas_of(classes: int) -> dict[str, tuple[float, float, float]]:
    absent = (float("nan"),) * 3
    return {name: absent if n == 1 else (0.8, 0.7, 0.9) for n, name in enumerate(classes_of(classes))}


def bins_of(images: int) -> pd.DataFrame:
    middle = np.linspace(0.03, 0.97, 15)
    bins = pd.DataFrame(
        {"confidence": middle, "accuracy": middle**2, "low": middle**3, "high": middle, "images": images}
    )
    bins.loc[:5, ["confidence", "accuracy", "low", "high"]] = np.nan
    bins.loc[:5, "images"] = 0
    return bins


def pairs_of(models: int) -> pd.DataFrame:
    found = [(f"m{i}", f"m{j}", 0.3 - 0.04 * i, 0.01 * j) for i, j in itertools.combinations(range(models), 2)]
    return pd.DataFrame(found, columns=["one", "other", "difference", "p_bootstrap_holm"])


def costs_of(models: int) -> pd.DataFrame:
    """All but the last model cost nearly the same and are nearly as good; what the last costs is not known."""
    place = np.arange(models, dtype=float)
    table = pd.DataFrame({"title": titles_of(models), "balanced_accuracy": 0.5 + place / 1e4, "low": 0.3, "high": 0.8})
    table["multiply_adds"], table["parameters"], table["file_mb"] = 1e9 * (1 + place / 1e4), 138_357_544, 553.4
    if models > 1:
        table.loc[models - 1, ["multiply_adds", "parameters", "file_mb"]] = np.nan
    return table


def cliques_of(models: int) -> list[list[str]]:
    names = titles_of(models)
    return [names[start : start + 6] for start in range(0, models, 5)]


def explained(count: int) -> list[Explained]:
    """Explained images; the first is classified correctly, and heat maps with and without contrast take turns."""
    names, ramp = classes_of(max(count, 2)), np.linspace(0, 1, 64).reshape(8, 8)
    heats = (ramp, np.zeros((8, 8)), np.ones((8, 8)))
    return [
        Explained(ramp, names[number], names[0], 0.9, 0.1, heats[number % 3], heats[(number + 1) % 3])
        for number in range(count)
    ]


def diagram(branches: int, blocks: int) -> Diagram:
    """Networks whose blocks have more layers than fit in a line."""
    layers = ", ".join(f"{number} BatchNormalization" for number in range(2, 9))
    block = Block("stage 1", "maps", layers, (128, 128, 1024), 138_357_544, 15 * 10**9)
    image, classes = (
        Block("image", "image", "", (224, 224, 1), 0, 0),
        Block("classes", "classes", "Dense", (3,), 12, 12),
    )
    return Diagram(image, {f"{HEAD} {number}": [block] * blocks for number in range(branches)}, [classes])


ROC, RECALL = ("false_positive_rate", "true_positive_rate"), ("recall", "precision")
Draw = Callable[[Path], None]
OF_CLASSES: dict[str, Callable[[int, Path], None]] = {
    "confusion_matrix": lambda c, p: confusion_matrix(counts_of(c), HEAD, p),
    "confusion_grid of 1": lambda c, p: confusion_grid({HEAD: counts_of(c)}, p),
    "confusion_grid of 23": lambda c, p: confusion_grid({title: counts_of(c) for title in titles_of(23)}, p),
    "sample_predictions": lambda c, p: sample_predictions(images(8), sampled(8, c), HEAD, p),
    "misclassified": lambda c, p: misclassified(images(30), answers(30, c, 20), HEAD, p),
    "image_gallery": lambda c, p: image_gallery({name: images(1 + n) for n, name in enumerate(classes_of(c))}, HEAD, p),
    "roc_curves": lambda c, p: roc_curves(curves_of(c, *ROC), areas_of(c), HEAD, p),
    "precision_recall_curves": lambda c, p: precision_recall_curves(
        curves_of(c, *RECALL), areas_of(c), dict.fromkeys(classes_of(c), 1 / c), HEAD, p
    ),
    "class_counts": lambda c, p: class_counts(
        {split: {name: n * 123_456 for n, name in enumerate(classes_of(c))} for split in ("train", "val", "test")}, p
    ),
}
OF_MODELS: dict[str, Callable[[int, Path], None]] = {
    "model_comparison": lambda m, p: model_comparison(
        table_of(m), titles_of(m)[-1], p, alike=titles_of(m)[m // 2 :], ensembles=titles_of(m)[:4]
    ),
    "evaluation_grid": lambda m, p: evaluation_grid(table_of(m), p),
    "learning_overlay": lambda m, p: learning_overlay(
        {title: history(1 + n, 3 + 10 * n) for n, title in enumerate(titles_of(m))}, p, titles_of(m)[-1]
    ),
    "critical_difference": lambda m, p: critical_difference(
        {title: 1 + 0.9 * n for n, title in enumerate(titles_of(m))}, 5.2, cliques_of(m), p
    ),
    "pareto": lambda m, p: pareto(costs_of(m), p),
}
DRAWINGS: dict[str, Draw] = {
    **{f"{name}, {c} classes": lambda p, d=d, c=c: d(c, p) for name, d in OF_CLASSES.items() for c in (2, 3, 6)},
    **{f"{name}, {m} models": lambda p, d=d, m=m: d(m, p) for name, d in OF_MODELS.items() for m in (1, 2, 23)},
    **{
        f"pair_matrix, {m} models": lambda p, m=m: pair_matrix(
            pairs_of(m), [f"m{n}" for n in range(m)], {f"m{n}": title for n, title in enumerate(titles_of(m))}, p
        )
        for m in (2, 23)
    },
    "learning_curves, 1 epoch": lambda p: learning_curves(history(1), HEAD, p),
    "learning_curves, 60 epochs": lambda p: learning_curves(history(60), HEAD * 4, p),
    "reliability_diagram": lambda p: reliability_diagram(bins_of(123_456), bins_of(3), (0.283, 0.1), HEAD * 3, p),
    "misclassified, nothing wrong": lambda p: misclassified(images(3), answers(3, 3, 0), HEAD, p),
    "misclassified, one wrong": lambda p: misclassified(images(3), answers(3, 3, 1), HEAD, p),
    "sample_predictions, one": lambda p: sample_predictions(images(1), sampled(1, 3), HEAD, p),
    "pareto, no cost known": lambda p: pareto(costs_of(2).assign(multiply_adds=np.nan), p),
    "learning_overlay, a loss near 0": lambda p: learning_overlay({"a": history(9), "b": history(9, 1e-7)}, p),
    "confusion_matrix, 14 classes": lambda p: confusion_matrix(counts_of(14), HEAD, p),
    "heat_maps, one": lambda p: heat_maps(explained(1), HEAD, p),
    "heat_maps, six": lambda p: heat_maps(explained(6), HEAD * 3, p),
    "architecture, no backbone": lambda p: architecture(diagram(0, 0), HEAD, p),
    "architecture, one backbone": lambda p: architecture(diagram(1, 9), HEAD * 3, p),
    "architecture, two backbones": lambda p: architecture(diagram(2, 4), HEAD, p),
    "image_grid of none": lambda p: image_grid([], 3, 2.1, HEAD, p),
    "image_grid of seven": lambda p: image_grid([(HEAD, image) for image in images(7)], 3, 2.1, HEAD * 3, p, HEAD),
    "model_comparison, nothing known of pairs": lambda p: model_comparison(table_of(3), HEAD, p),
}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they were when they were written."""
    kept: list[Figure] = []
    write = Figure.savefig

    def keep(self: Figure, *arguments: object, **options: object) -> None:
        kept.append(self)
        write(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return kept


def texts_of(drawing: Figure) -> list[tuple[str, Bbox]]:
    """What can be read in a figure and where, in pixels; the legend's lines and the ticks' numbers too."""
    seen = [t for t in drawing.findobj(Text) if t.get_visible() and t.get_text().strip()]
    for axis in drawing.axes:
        if not axis.axison:
            seen = [text for text in seen if text.axes is not axis or text in axis.texts]
        hidden = [
            label
            for side in (axis.xaxis, axis.yaxis)
            for tick in (*side.get_major_ticks(), *side.get_minor_ticks())
            for label in (tick.label1, tick.label2)
            if not inside_view(side, tick.get_loc())
        ]
        seen = [text for text in seen if text not in hidden]
    return [(text.get_text(), text.get_window_extent()) for text in seen]


def inside_view(side: mpl.axis.Axis, place: float) -> bool:
    low, high = sorted(side.get_view_interval())
    return low - 1e-9 <= place <= high + 1e-9


def overlapping(boxes: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of texts that share more than a pixel in both directions."""
    low = np.array([box.min for _, box in boxes]) + 1
    high = np.array([box.max for _, box in boxes]) - 1
    meet = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=2)
    return [(boxes[one][0], boxes[other][0]) for one, other in np.argwhere(np.triu(meet, 1))]


@pytest.mark.parametrize("name", DRAWINGS)
def test_text_stands_inside_the_figure_and_apart(name: str, drawn: list[Figure], tmp_path: Path) -> None:
    path = tmp_path / "made" / "figure.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DRAWINGS[name](path)
    (drawing,) = drawn
    boxes = texts_of(drawing)
    assert boxes
    assert not (met := overlapping(boxes)), met
    edge = drawing.bbox.padded(0.5)
    assert not (out := [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))]), out
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
def test_the_same_numbers_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for copy in ("one.png", "two.png"):
        DRAWINGS[name](tmp_path / copy)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_other_numbers_give_another_figure(tmp_path: Path) -> None:
    confusion_matrix(counts_of(2), "", tmp_path / "one.png")
    confusion_matrix(counts_of(2, most=9), "", tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "two.png").read_bytes()


def said(drawing: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in drawing.findobj(Text)).split())


# What a figure says


def test_wrong_answers_come_by_how_sure_they_were() -> None:
    rows = pd.DataFrame({"label": list("aabba"), "predicted": list("babab"), "prob_a": [0.4, 1, 0, 0.9, 0.1]})
    rows["prob_b"] = 1 - rows["prob_a"]
    assert surest_errors(rows) == [3, 4, 0]


def test_the_gallery_says_how_many_are_wrong_and_reads_no_other_image(drawn: list[Figure], tmp_path: Path) -> None:
    read = []

    class Counting(list):
        def __getitem__(self, place: int) -> np.ndarray:
            read.append(place)
            return super().__getitem__(place)

    pictures = Counting(images(30))
    misclassified(pictures, answers(30, 3, 20), HEAD, tmp_path / "wrong.png")
    assert "wrong: 20 of 30 test images, here the 12 surest" in said(drawn[0])
    assert read == list(range(12))
    misclassified(pictures, answers(30, 3, 0), HEAD, tmp_path / "none.png")
    assert "No test image was answered wrongly, of 30." in said(drawn[1])


def test_a_name_that_is_wider_than_a_cell_is_turned_and_not_torn(drawn: list[Figure], tmp_path: Path) -> None:
    names = ["osteoporosis", "osteopenia", *"abcd"]
    confusion_matrix({actual: dict.fromkeys(names, 1) for actual in names}, HEAD, tmp_path / "counts.png")
    turned = [text.get_rotation() for text in drawn[0].findobj(Text) if text.get_text() == "osteoporosis"]
    assert sorted(turned) == [0, 90]


def markers_of(drawing: Figure) -> list[tuple[str, bool]]:
    """Marker of each model's point in the order of the rows, and whether it is filled."""
    points = [line for line in drawing.axes[1].lines if line.get_marker() not in ("None", None)]
    return [(str(line.get_marker()), line.get_markerfacecolor() != "white") for line in points]


def test_the_comparison_tells_ensembles_and_what_is_like_the_best(drawn: list[Figure], tmp_path: Path) -> None:
    names = titles_of(4)
    model_comparison(table_of(4), names[2], tmp_path / "a.png", alike=names[2:], ensembles=names[1:2])
    assert markers_of(drawn[0]) == [("o", True), ("o", True), ("D", False), ("o", False)]
    model_comparison(table_of(4), names[2], tmp_path / "b.png")
    assert markers_of(drawn[1]) == [("o", True)] * 4
    legends = [" ".join(text.get_text() for text in drawing.legends[0].get_texts()) for drawing in drawn]
    assert all(word in legends[0] for word in ("filled", "hollow", "diamond", "chosen", "vermilion", "0.33"))
    assert not any(word in legends[1] for word in ("filled", "hollow", "diamond"))


def test_a_pair_reads_row_less_column_whichever_way_it_was_given(drawn: list[Figure], tmp_path: Path) -> None:
    for one, other, difference in (("a", "b", 0.2), ("b", "a", -0.2)):
        pairs = pd.DataFrame([(one, other, difference, 0.04)], columns=list(pairs_of(2)))
        pair_matrix(pairs, ["a", "b"], {"a": "first", "b": "second"}, tmp_path / "pairs.png")
        assert "−0.20" in said(drawn[-1])
        assert "1 of 1 pairs" in said(drawn[-1])


def test_a_pair_that_is_not_known_is_not_said_to_differ(drawn: list[Figure], tmp_path: Path) -> None:
    pairs = pd.DataFrame([("a", "b", np.nan, np.nan)], columns=list(pairs_of(2)))
    pair_matrix(pairs, ["a", "b"], {"a": "first", "b": "second"}, tmp_path / "pairs.png")
    assert "0 of 1 pairs" in said(drawn[0])


models = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(models)
def test_the_front_holds_what_nothing_beats_and_beats_all_others(found: list[tuple[int, int]]) -> None:
    cost, quality = np.array(found, dtype=float).T
    front = pareto_front(cost, quality)
    for place, kept in enumerate(front):
        beats = (cost <= cost[place]) & (quality >= quality[place])
        beats &= (cost < cost[place]) | (quality > quality[place])
        assert kept == (not beats.any())
        assert kept or (beats & front).any()
