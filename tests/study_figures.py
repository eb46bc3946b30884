"""Figures of a finished study, as small gray images."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

MODEL_FIGURES = (
    "confusion_matrix",
    "sample_predictions",
    "misclassified",
    "evaluation_figure",
    "roc",
    "precision_recall",
    "reliability",
)
STUDY_FIGURES = (
    "models_comparison",
    "models_evaluation_grid",
    "models_confusion_grid",
    "models_learning_curves",
    "models_pairs",
    "models_cost",
)


def draw_figures(
    reports: Path,
    models: Sequence[str],
    ensembles: Sequence[str],
    *,
    ranks: bool,
    explained: bool,
    sets: bool,
    cohort: str,
) -> None:
    """Write all figures of the study as small gray images."""
    files = [reports / "models" / m / f"{m}_{figure}.png" for m in models for figure in MODEL_FIGURES]
    ensemble_figures = [f for f in MODEL_FIGURES if f != "evaluation_figure"]  # ensembles have no history
    files += [
        reports / "ensembles" / f"ensemble_{kind}" / f"ensemble_{kind}_{figure}.png"
        for kind in ensembles
        for figure in ensemble_figures
    ]
    files += [
        reports / "comparison" / f"{name}.png" for name in STUDY_FIGURES if name != "models_pairs" or len(models) > 1
    ]
    files += [
        reports / "learning_curve/learning_curve.png",
        reports / "audit/pairs.png",
        reports / "augmentation/views.png",
        reports / "cohort/class_counts.png",
        reports / "cohort/sample_gallery.png",
    ]
    if cohort:
        files.append(reports / "external" / cohort / "external_scores.png")
    if sets:
        files.append(reports / "comparison/models_prediction_sets.png")
    if ranks:
        files.append(reports / "comparison/models_critical_difference.png")
    if explained:
        files += [
            reports / "explained" / m / f"{m}_{figure}.png" for m in models for figure in ("gradcam", "architecture")
        ]
    for index, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (120, 80), (index % 256,) * 3).save(file)
