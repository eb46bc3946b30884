"""Model cards in Markdown: intended use, training data, scores and limits."""

from collections.abc import Mapping

from bonexray.licences import licences_used
from bonexray.report.data import ReportSettings
from bonexray.report.pages import page
from bonexray.results.wording import percent

OVERALL = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "macro_f1": "F1, macro",
    "roc_auc": "ROC AUC, macro",
    "quadratic_weighted_kappa": "Quadratic-weighted kappa",
    "log_loss": "Log loss",
    "no_skill_log_loss": "Log loss of always answering the class shares",
    "brier": "Brier score",
}
CALIBRATION = {
    "temperature": "Temperature, fitted on validation",
    "expected_calibration_error": "Calibration error",
    "calibrated_expected_calibration_error": "Calibration error after temperature scaling",
}
SETS = {
    "set_promised": "Promised coverage",
    "set_coverage": "Coverage reached, by patient",
    "set_size": "Mean number of classes",
    "set_single": "Share of sets with a single class",
    "set_empty": "Share of empty sets",
}


def model_card_page(
    name: str,
    title: str,
    card: Mapping[str, object],
    scores: Mapping[str, object],
    data: Mapping[str, object],
    settings: ReportSettings,
) -> str:
    """Return a model card in Markdown.

    Args:
        name: name of the model in the registry.
        title: title of the model.
        card: content of models/<name>/model.json.
        scores: scores of the model, from metrics/models.json.
        data: content of metrics/data.json.
        settings: settings of the study.
    """
    return page(
        "card.md",
        name=name,
        title=title,
        card=card,
        scores=scores,
        data=data,
        settings=settings,
        licences=licences_used(settings.denoise, settings.weights, card["backbones"]),
        overall={score: label for score, label in OVERALL.items() if score in scores},
        calibration={score: label for score, label in CALIBRATION.items() if score in scores},
        sets={score: label for score, label in SETS.items() if score in scores} if "set_coverage" in scores else {},
        confidence=percent(settings.evaluate.confidence),
    )
