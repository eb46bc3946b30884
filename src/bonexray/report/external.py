"""External cohorts in the report: sentences, a table and a figure for each."""

from dataclasses import dataclass

from bonexray.data.paths import EXTERNAL_REPORTS
from bonexray.report.data import Study
from bonexray.report.images import Picture, picture
from bonexray.report.prediction_sets import COVERAGE
from bonexray.report.tables import Cell, Table, score_cell
from bonexray.results.wording import count, listed, missing, number, percent, signed, span, with_interval

COLUMNS = {"internal_balanced_accuracy": "Internal", "balanced_accuracy": "External", "roc_auc": "ROC AUC, external"}
CALIBRATION = {"log_loss": "log loss", "expected_calibration_error": "calibration error"}


@dataclass(frozen=True)
class ExternalResult:
    """What the report shows of an external cohort.

    Attributes:
        name: of the cohort.
        sentences: its images, what was left out, and what the chosen model reaches on it.
        table: scores and drops of all models.
        figure: the same as a picture; None if it is missing.
    """

    name: str
    sentences: list[str]
    table: Table
    figure: Picture | None


def external_results(study: Study) -> list[ExternalResult]:
    """Return the results of each external cohort, in the order of the settings."""
    return [
        ExternalResult(
            name,
            [_images(name, facts), *_left_out(facts), *chosen_sentences(study, name), *_recalibrated(study, facts)],
            _table(study, name, facts),
            picture(study.root / EXTERNAL_REPORTS / name / "external_scores.png"),
        )
        for name, facts in study.external.items()
    ]


def external_warnings(study: Study) -> list[str]:
    """Return a warning for each cohort on which the chosen model loses, or its prediction sets break their promise.

    Either is stated only where the whole interval shows it.
    """
    warnings = []
    for name in study.external:
        scores = _chosen(study, name)
        if scores and scores["drop_balanced_accuracy_low"] > 0:
            warnings.append(
                f"The result does not carry over to {name}: balanced accuracy {with_interval(scores, 'balanced_accuracy')} "
                f"there, {_drop(scores)} lower than on the internal test."
            )
        if scores and not missing(scores.get(COVERAGE)) and scores[f"{COVERAGE}_high"] < scores["set_promised"]:
            warnings.append(
                f"On {name} the prediction sets contain the true class for {with_interval(scores, COVERAGE)} of the "
                f"patients, below the promised {percent(scores['set_promised'])}."
            )
    return warnings


def chosen_sentences(study: Study, name: str) -> list[str]:
    """Return what the chosen model, which no external image helped to choose, reaches on a cohort."""
    scores = _chosen(study, name)
    if not scores:
        return []
    low, high = scores["drop_balanced_accuracy_low"], scores["drop_balanced_accuracy_high"]
    if low > 0:
        verdict = f"lower than on the internal test by {_drop(scores)}"
    elif high < 0:
        verdict = f"higher than on the internal test; the difference, internal minus external, is {_drop(scores)}"
    else:
        verdict = f"a drop is not shown: internal minus external is {_drop(scores)}"
    sentences = [
        f"{study.titles[study.headline['model']]}, chosen on internal validation, reaches a balanced accuracy of "
        f"{with_interval(scores, 'balanced_accuracy')}; {verdict}."
    ]
    if not missing(scores.get("operating_sensitivity")):
        sentences.append(
            f"With the threshold fixed on internal validation its sensitivity there is "
            f"{with_interval(scores, 'operating_sensitivity')} and its specificity "
            f"{with_interval(scores, 'operating_specificity')}."
        )
    if not missing(scores.get(COVERAGE)):
        by_class = [f"{with_interval(own, COVERAGE)} of {label}" for label, own in scores["classes"].items()]
        sentences.append(
            f"Its prediction sets, with thresholds from internal validation, contain the true class for "
            f"{with_interval(scores, COVERAGE)} of {count(scores['set_patients'], 'patient')}, promised "
            f"{percent(scores['set_promised'])}: {listed(by_class)}."
        )
    return sentences


def _chosen(study: Study, name: str) -> dict | None:
    return study.external[name]["models"].get(study.headline["model"])


def _drop(scores: dict) -> str:
    return f"{number(scores['drop_balanced_accuracy'])} ({span(scores, 'drop_balanced_accuracy')})".replace("-", "−")


def _images(name: str, facts: dict) -> str:
    classes = ", ".join(f"{label} {images}" for label, images in facts["classes"].items())
    return (
        f"{name}: {count(facts['images'], 'image')} of {count(facts['patients'], 'patient')} ({classes}), used for nothing "
        "but these scores."
    )


def _left_out(facts: dict) -> list[str]:
    parts = [f"{images} {reason}" for reason, images in facts["left_out"].items()]
    parts += [f"{images} with the label {label}" for label, images in facts["unmapped"].items()]
    return [f"Left out: {listed(parts)}."] if parts else []


def _recalibrated(study: Study, facts: dict) -> list[str]:
    scores = facts["models"].get(study.headline["model"], {}).get("recalibration") or {}
    if not scores:
        return ["The cohort has too few patients to learn a recalibration from a part of them."]
    changes = listed(
        [
            f"{words} from {number(scores[f'before_{name}'])} to {number(scores[f'after_{name}'])}"
            for name, words in CALIBRATION.items()
        ]
    )
    return [
        f"Class shares and a temperature learned from {count(scores['patients'], 'patient')} of the cohort would change its "
        f"{changes} on the other {scores['n']} {'image' if study.case == 'test image' else 'patient'}s."
    ]


def _table(study: Study, name: str, facts: dict) -> Table:
    rows = []
    for model in (model for model in study.titles if model in facts["models"]):
        scores, title = facts["models"][model], study.titles[model]
        cells = [score_cell(scores, score) for score in COLUMNS]
        drop = scores["drop_balanced_accuracy"]
        low, high = scores["drop_balanced_accuracy_low"], scores["drop_balanced_accuracy_high"]
        rows.append([Cell(title, order=title), *cells, Cell(signed(drop), f"{signed(low)} to {signed(high)}", drop)])
    caption = f"Balanced accuracy on the internal test and on {name}; drop: internal minus external"
    columns = ("Model", *COLUMNS.values(), "Drop")
    return Table(f"external-{name}", caption, columns, rows, sortable=True)
