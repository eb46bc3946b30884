"""Figures and tables of the evaluation of a model or an ensemble."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.data.arrays import ArrayFile
from bonexray.evaluate import curves
from bonexray.evaluate.evaluation import Evaluation
from bonexray.evaluate.operating_point import OperatingPoint
from bonexray.evaluate.split_predictions import SplitPredictions
from bonexray.figures.images import galleries
from bonexray.figures.model import confusion, decision_curve, probability_curves

SAMPLES = 8


def draw_evaluation(
    evaluation: Evaluation,
    name: str,
    title: str,
    classes: list[str],
    confidence: float,
    images: ArrayFile,
    folder: Path,
) -> None:
    """Draw all figures that need only predictions and images, and write their tables.

    Args:
        evaluation: of the model.
        name: of the model; the names of all files begin with it.
        title: of the model, for readers.
        classes: names of the classes in the order of the probabilities.
        confidence: level of the bands.
        images: float32 (images, px, px) in [0, 1], in the order of the manifest; of a patient the first is drawn.
        folder: for the files.
    """
    scores, test = evaluation.scores, evaluation.test
    on_test = f"{title}: {scores['n']} test {scores['unit']}s"
    confusion.confusion_matrix(scores["confusion"], on_test, folder / f"{name}_confusion_matrix.png")
    rows = _with_probabilities(test, classes)
    samples = _samples(rows)
    galleries.sample_predictions(images[samples["place"]], samples, on_test, folder / f"{name}_sample_predictions.png")
    each = _ImagesOfRows(images, rows["place"])
    galleries.misclassified(each, rows, title, folder / f"{name}_misclassified.png", unit=scores["unit"])
    _draw_curves(evaluation, name, title, classes, confidence, folder)
    _draw_reliability(evaluation, name, title, confidence, folder)
    if evaluation.operating_point:
        _draw_decisions(evaluation.operating_point, name, title, scores, folder)
    _results(rows, classes).to_csv(
        folder / f"results_{name}.csv", index=False, lineterminator="\n", float_format="%.6f"
    )


class _ImagesOfRows:
    """The images of the rows of a table, each read on access."""

    def __init__(self, images: ArrayFile, places: pd.Series) -> None:
        self._images, self._places = images, places.to_numpy()

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        return self._images[int(self._places[index])]


def _draw_curves(
    evaluation: Evaluation, name: str, title: str, classes: list[str], confidence: float, folder: Path
) -> None:
    test, scores = evaluation.test, evaluation.scores
    inputs = (test.labels, test.probabilities, evaluation.draws, classes, confidence)
    roc, precision = curves.roc_curves(*inputs), curves.precision_recall_curves(*inputs)
    prevalence = {c: float((test.labels == number).mean()) for number, c in enumerate(classes)}
    probability_curves.roc_curves(roc, _areas(scores, "roc_auc", classes), title, folder / f"{name}_roc.png")
    probability_curves.precision_recall_curves(
        precision,
        _areas(scores, "average_precision", classes),
        prevalence,
        title,
        folder / f"{name}_precision_recall.png",
    )
    for table, x, y, file in (
        (roc, "false_positive_rate", "true_positive_rate", "roc"),
        (precision, "recall", "precision", "precision_recall"),
    ):
        _wide(table, x, y, classes).to_csv(
            folder / f"{name}_{file}.csv", index=False, lineterminator="\n", float_format="%.6f"
        )


def _wide(table: pd.DataFrame, x: str, y: str, classes: list[str]) -> pd.DataFrame:
    """Return a column for the grid, one for the mean, and `class_<name>` for each class, equal to none of the others."""
    columns = {curves.MACRO.value: curves.MACRO} | {f"class_{c}": c for c in classes}
    values = {name: table.loc[table["class"] == c, y].to_numpy() for name, c in columns.items()}
    return pd.DataFrame({x: curves.GRID, **values})


def _areas(scores: Mapping[str, object], score: str, classes: list[str]) -> dict[str, tuple[float, float, float]]:
    by_class = scores["classes"]
    return {c: tuple(float(by_class[c][f"{score}{end}"]) for end in ("", "_low", "_high")) for c in classes}


def _draw_reliability(evaluation: Evaluation, name: str, title: str, confidence: float, folder: Path) -> None:
    before, after = (
        curves.reliability_curve(a.labels, a.probabilities, evaluation.draws, confidence)
        for a in (evaluation.corrected, evaluation.calibrated)
    )
    errors = tuple(float(evaluation.scores[f"{kind}expected_calibration_error"]) for kind in ("", "calibrated_"))
    probability_curves.reliability_diagram(before, after, errors, title, folder / f"{name}_reliability.png")
    filled = before[before["images"] > 0][["confidence", "accuracy", "images"]]
    filled.to_csv(folder / f"{name}_reliability.csv", index=False, lineterminator="\n", float_format="%.6f")


def _draw_decisions(point: OperatingPoint, name: str, title: str, scores: Mapping[str, object], folder: Path) -> None:
    prevalence = float(scores["operating_prevalence"])
    point.curve.to_csv(folder / f"{name}_decision_curve.csv", index=False, lineterminator="\n", float_format="%.6f")
    decision_curve.decision_curve(
        point.curve,
        point.positive,
        prevalence,
        f"{title}: {scores['operating_n']} test patients",
        folder / f"{name}_decision_curve.png",
    )


def _with_probabilities(test: SplitPredictions, classes: list[str]) -> pd.DataFrame:
    probabilities = pd.DataFrame(test.probabilities, columns=[f"prob_{name}" for name in classes])
    predicted = np.asarray(classes, dtype=object)[test.probabilities.argmax(axis=1)]
    rows = test.rows.assign(predicted=predicted, probability=test.probabilities.max(axis=1))
    return pd.concat([rows.reset_index(drop=True), probabilities], axis=1)


def _samples(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the first images of each class in turn, at most `SAMPLES`."""
    return rows.iloc[rows.groupby("label").cumcount().argsort(kind="stable")].head(SAMPLES)


def _results(rows: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Return the folder, file, predicted class, actual class and probabilities of each test image."""
    files = [Path(path) for path in rows["path"]]
    return pd.DataFrame(
        {
            "directory": [file.parent.as_posix() for file in files],
            "file": [file.name for file in files],
            "prediction": rows["predicted"],
            "actual": rows["label"],
            **{f"prob_{name}": rows[f"prob_{name}"] for name in classes},
        }
    )
