"""A model's card: what it is, what it was trained on, how good it is and what it is not for, in one page of Markdown."""

from collections.abc import Mapping

from bonexray.report.data import Choices
from bonexray.report.pages import page
from bonexray.results.wording import percent

OVERALL = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "macro_f1": "F1, macro",
    "roc_auc": "ROC AUC, macro",
    "quadratic_weighted_kappa": "Quadratic-weighted kappa",
    "log_loss": "Log loss",
    "brier": "Brier score",
}
CALIBRATION = {
    "temperature": "Temperature, fitted on validation",
    "expected_calibration_error": "Calibration error",
    "calibrated_expected_calibration_error": "Calibration error after it",
}


def model_card_page(
    name: str,
    title: str,
    card: Mapping[str, object],
    scores: Mapping[str, object],
    data: Mapping[str, object],
    settings: Choices,
) -> str:
    """The card in Markdown.

    Args:
        name: of the model in the registry.
        title: how text calls it.
        card: models/<name>/model.json.
        scores: metrics/models/<name>.json.
        data: metrics/data.json.
        settings: of the study.
    """
    return page(
        "card.md",
        name=name,
        title=title,
        card=card,
        scores=scores,
        data=data,
        settings=settings,
        overall={score: label for score, label in OVERALL.items() if score in scores},
        calibration={score: label for score, label in CALIBRATION.items() if score in scores},
        confidence=percent(settings.evaluate.confidence),
    )
