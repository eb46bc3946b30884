"""Every figure as a function of a path, with names and numbers that break layouts: long, foreign, equal, missing."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.explain.diagram import Block, Diagram
from bonexray.figures.canvas.grid import image_grid
from bonexray.figures.comparison.cost import pareto
from bonexray.figures.comparison.pairs import critical_difference, pair_matrix
from bonexray.figures.comparison.panel import evaluation_grid, model_comparison
from bonexray.figures.comparison.prediction_sets import prediction_sets
from bonexray.figures.explained.architecture import architecture
from bonexray.figures.explained.boxed import Boxed, boxed_maps
from bonexray.figures.explained.heatmaps import Explained, heat_maps
from bonexray.figures.explained.localisation import localisation_figure
from bonexray.figures.images.cohort import class_counts
from bonexray.figures.images.galleries import image_gallery, misclassified, sample_predictions
from bonexray.figures.learning_curve import learning_curve
from bonexray.figures.model.confusion import confusion_grid, confusion_matrix
from bonexray.figures.model.curves import learning_curves, learning_overlay
from bonexray.figures.model.decision_curve import decision_curve
from bonexray.figures.model.probability_curves import precision_recall_curves, reliability_diagram, roc_curves
from bonexray.figures.subgroups.columns import draw_subgroups

HEAD = "Fusion of many networks, ünï cöde 骨 $x_1$"


def titles_of(models: int) -> list[str]:
    return [f"{HEAD} {number}" for number in range(models)]


def classes_of(count: int) -> list[str]:
    return [f"Ostéopénie_très_avancée 骨質 $β$, {number}" for number in range(count)]


def counts_of(classes: int, most: int = 123_456) -> dict[str, dict[str, int]]:
    names, rng = classes_of(classes), np.random.default_rng(7)
    return {actual: {predicted: int(rng.integers(most)) for predicted in names} for actual in names}


def table_of(models: int) -> pd.DataFrame:
    value = np.linspace(0, 1, models) if models > 1 else np.array([0.5])
    table = pd.DataFrame({"title": titles_of(models), "n": 36, "baseline_balanced_accuracy": 1 / 3})
    table["unit"] = "image"
    table["collapsed"] = [int(number == 1) for number in range(models)]
    table["nearly_collapsed"] = [int(number in (1, 2)) for number in range(models)]
    for score in ("balanced_accuracy", "accuracy", "macro_precision", "macro_recall", "macro_f1"):
        table[score], table[f"{score}_low"] = value, np.maximum(value - 0.1, 0)
        table[f"{score}_high"] = np.minimum(value + 0.1, 1)
    return table


def subgroups_of(values: int) -> dict[str, dict[str, object]]:
    """Return subgroups of a column: one with scores, one with too few patients, and others with long names."""
    interval = {"balanced_accuracy": 0.97, "balanced_accuracy_low": 0.02, "balanced_accuracy_high": 1.0}
    some = {"n": 123_456, "n_groups": 100_001, "too_few": 0, **interval}
    return {"a": some, "b": {"n": 1, "n_groups": 1, "too_few": 1}} | {f"{HEAD * 2} {n}": some for n in range(values)}


def history(epochs: int, start: float = 1.1) -> pd.DataFrame:
    falling = np.linspace(start, 0.4, epochs)
    return pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            "phase": ["head"] * (epochs - epochs // 3) + ["network"] * (epochs // 3),
            "loss": falling,
            "accuracy": 1 - falling / 2,
            "val_loss": falling * 1.1,
            "log_loss": falling,
            "val_log_loss": falling * 1.1,
            "val_accuracy": 1 - falling / 2,
        }
    )


def predictions(images: int, classes: int, wrong: int) -> pd.DataFrame:
    names = classes_of(classes)
    rows = pd.DataFrame({"label": [names[n % classes] for n in range(images)]})
    rows["predicted"] = [names[(n + (n < wrong)) % classes] for n in range(images)]
    for name in names:
        rows[f"prob_{name}"] = 1 / classes
    return rows


def images(count: int) -> np.ndarray:
    return np.random.default_rng(7).random((count, 32, 32), dtype=np.float32)


def samples(count: int, classes: int) -> pd.DataFrame:
    return predictions(count, classes, count // 2).assign(probability=0.5)


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


def decisions_of(prevalence: float) -> pd.DataFrame:
    threshold = np.linspace(0.01, 0.99, 99)
    everyone = prevalence - (1 - prevalence) * threshold / (1 - threshold)
    model = prevalence * (1 - threshold**2)
    return pd.DataFrame({"threshold": threshold, "model": model, "all": everyone, "none": 0.0})


def pairs_of(models: int) -> pd.DataFrame:
    rows = [(f"m{i}", f"m{j}", 0.3 - 0.04 * i, 0.01 * j) for i, j in itertools.combinations(range(models), 2)]
    return pd.DataFrame(rows, columns=["one", "other", "difference", "p_bootstrap_holm"])


def costs_of(models: int) -> pd.DataFrame:
    """Return models of nearly the same cost and score; the cost of the last one is unknown."""
    steps = np.arange(models, dtype=float)
    table = pd.DataFrame({"title": titles_of(models), "balanced_accuracy": 0.5 + steps / 1e4, "low": 0.3, "high": 0.8})
    table["multiply_adds"], table["parameters"], table["file_mb"] = 1e9 * (1 + steps / 1e4), 138_357_544, 553.4
    if models > 1:
        table.loc[models - 1, ["multiply_adds", "parameters", "file_mb"]] = np.nan
    return table


def cliques_of(models: int) -> list[list[str]]:
    names = titles_of(models)
    return [names[start : start + 6] for start in range(0, models, 5)]


def explained(count: int) -> list[Explained]:
    """Return explained images, the first classified correctly, whose heat maps with and without contrast take turns."""
    names, ramp = classes_of(max(count, 2)), np.linspace(0, 1, 64).reshape(8, 8)
    heats = (ramp, np.zeros((8, 8)), np.ones((8, 8)))
    return [
        Explained(ramp, names[number], names[0], 0.9, 0.1, heats[number % 3], heats[(number + 1) % 3])
        for number in range(count)
    ]


def boxed(count: int) -> list[Boxed]:
    """Return images with boxes and maps: of one place, of none, and the same everywhere."""
    ramp = np.linspace(0, 7, 64).reshape(8, 8)
    heats = (ramp, np.zeros((8, 8)), np.ones((8, 8)))
    return [Boxed(ramp / 7, heats[n % 3], [(1, 1, 5, 4)] * (n + 1), HEAD * (n + 1)) for n in range(count)]


def localised(models: int) -> dict[str, object]:
    """Return the localisation of models by three kinds of maps."""
    kinds = {"taught": "taught map", "gradcam": HEAD * 2, "random": "random weights"}
    scores = {"pointing": 1.0, "pointing_low": 0.04, "pointing_high": 1.0}
    found = {title: dict.fromkeys(kinds, scores) for title in titles_of(models)}
    references = {"centre": scores, "mean_box": scores}
    return {"images": 123_456, "patients": 12_345, "kinds": kinds, "references": references, "models": found}


def diagram(branches: int, blocks: int) -> Diagram:
    """Return a network whose blocks have more layers than fit in a line."""
    layers = ", ".join(f"{number} BatchNormalization" for number in range(2, 9))
    block = Block("stage 1", "maps", layers, (128, 128, 1024), 138_357_544, 15 * 10**9)
    image, classes = (
        Block("image", "image", "", (224, 224, 1), 0, 0),
        Block("classes", "classes", "Dense", (3,), 12, 12),
    )
    return Diagram(image, {f"{HEAD} {number}": [block] * blocks for number in range(branches)}, [classes])


ROC, RECALL = ("false_positive_rate", "true_positive_rate"), ("recall", "precision")


def curve_of(
    models: int, patients: tuple[float, ...] = (33.0, 65.0, 130.0, 260.0)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores by model and training patients, and those of two draws of each share."""
    shares, values = [0.5**n for n in range(len(patients))][::-1], np.linspace(0.4, 0.9, len(patients))
    rows = {"share": shares, "patients": patients}
    for score in ("balanced_accuracy", "log_loss"):
        rows |= {score: values, f"{score}_low": values - 0.1, f"{score}_high": values + 0.1}
    table = pd.concat([pd.DataFrame({"model": title, **rows}) for title in titles_of(models)])
    return table, pd.concat([table.assign(balanced_accuracy=table["balanced_accuracy"] + gap) for gap in (-0.05, 0.05)])


def answered_of() -> pd.DataFrame:
    share = np.linspace(0.1, 1, 37)
    return pd.DataFrame({"answered": share, "accuracy": 1 - share / 3, "low": 0.9 - share / 3, "high": 1.0})


Draw = Callable[[Path], None]
OF_CLASSES: dict[str, Callable[[int, Path], None]] = {
    "confusion_matrix": lambda c, p: confusion_matrix(counts_of(c), HEAD, p),
    "confusion_grid of 1": lambda c, p: confusion_grid({HEAD: counts_of(c)}, p),
    "confusion_grid of 23": lambda c, p: confusion_grid({title: counts_of(c) for title in titles_of(23)}, p),
    "sample_predictions": lambda c, p: sample_predictions(images(8), samples(8, c), HEAD, p),
    "misclassified": lambda c, p: misclassified(images(30), predictions(30, c, 20), HEAD, p),
    "image_gallery": lambda c, p: image_gallery({name: images(1 + n) for n, name in enumerate(classes_of(c))}, HEAD, p),
    "roc_curves": lambda c, p: roc_curves(curves_of(c, *ROC), areas_of(c), HEAD, p),
    "precision_recall_curves": lambda c, p: precision_recall_curves(
        curves_of(c, *RECALL), areas_of(c), dict.fromkeys(classes_of(c), 1 / c), HEAD, p
    ),
    "prediction_sets": lambda c, p: prediction_sets(
        answered_of(),
        (0.9, 0.83, 0.95),
        {name: (1 - n / 9, 0.8 - n / 9, 1.0) for n, name in enumerate(classes_of(c))},
        0.9,
        HEAD * 3,
        p,
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
    "localisation": lambda m, p: localisation_figure(localised(m), {title: title for title in titles_of(m)}, p),
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
    "decision_curve": lambda p: decision_curve(decisions_of(0.34), HEAD * 2, 0.34, HEAD * 3, p),
    "decision_curve, undefined": lambda p: decision_curve(decisions_of(0.01).assign(model=np.nan), HEAD, 0.01, HEAD, p),
    **{
        f"learning_curve, {m} models": lambda p, m=m: learning_curve(
            *curve_of(m), {title: title * 3 for title in titles_of(m)}, 0.95, p
        )
        for m in (1, 2, 3)
    },
    "learning_curve, few patients": lambda p: learning_curve(
        *curve_of(1, (3.0, 3.0, 4.0, 6.0)), dict.fromkeys(titles_of(1), "a"), 0.95, p
    ),
    "prediction_sets, a class without test images": lambda p: prediction_sets(
        answered_of(), (0.9, 0.83, 0.95), {HEAD: (np.nan, np.nan, np.nan)}, 0.95, HEAD, p, "patient"
    ),
    **{
        f"subgroups, {c} columns": lambda p, c=c: draw_subgroups(
            {f"{HEAD} {n}": subgroups_of(n) for n in range(c)}, subgroups_of(2)["a"] | {"unit": "patient"}, HEAD * 2, p
        )
        for c in (1, 4)
    },
    "misclassified, nothing wrong": lambda p: misclassified(images(3), predictions(3, 3, 0), HEAD, p),
    "misclassified, one wrong": lambda p: misclassified(images(3), predictions(3, 3, 1), HEAD, p),
    "sample_predictions, one": lambda p: sample_predictions(images(1), samples(1, 3), HEAD, p),
    "pareto, no cost": lambda p: pareto(costs_of(2).assign(multiply_adds=np.nan), p),
    "pareto, no numbers at all": lambda p: pareto(costs_of(2).assign(multiply_adds=None), p),
    "learning_overlay, a loss near 0": lambda p: learning_overlay({"a": history(9), "b": history(9, 1e-7)}, p),
    "confusion_matrix, 14 classes": lambda p: confusion_matrix(counts_of(14), HEAD, p),
    "heat_maps, one": lambda p: heat_maps(explained(1), HEAD, p),
    "heat_maps, six": lambda p: heat_maps(explained(6), HEAD * 3, p),
    **{f"boxed_maps, {n}": lambda p, n=n: boxed_maps(boxed(n), HEAD * n, p) for n in (1, 5)},
    "architecture, no backbone": lambda p: architecture(diagram(0, 0), HEAD, p),
    "architecture, one backbone": lambda p: architecture(diagram(1, 9), HEAD * 3, p),
    "architecture, two backbones": lambda p: architecture(diagram(2, 4), HEAD, p),
    "image_grid of none": lambda p: image_grid([], 3, 2.1, HEAD, p),
    "image_grid of seven": lambda p: image_grid([(HEAD, image) for image in images(7)], 3, 2.1, HEAD * 3, p, HEAD),
    "model_comparison, with a ceiling": lambda p: model_comparison(table_of(3), HEAD, p, ceiling=0.9),
    "model_comparison, no pairs": lambda p: model_comparison(table_of(3), HEAD, p),
}
