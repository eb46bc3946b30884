"""Tables of the report as cells, which a template renders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bonexray.registry import is_model, model_title
from bonexray.report.data import Study
from bonexray.report.questions import ALPHA
from bonexray.report.sources import reported
from bonexray.results.tables import CEILING, CEILING_ROW, NOT_ABOVE, baseline_of, beats_baseline, choice_words
from bonexray.results.wording import NONE, count, large, missing, number, p_value, signed, span

FURTHER = {
    "macro_precision": "Precision, macro",
    "macro_recall": "Recall, macro",
    "macro_specificity": "Specificity, macro",
    "macro_average_precision": "Average precision, macro",
    "cohen_kappa": "Cohen's kappa",
    "matthews_correlation": "Matthews correlation",
    "log_loss": "Log loss",
    "no_skill_log_loss": "Log loss, no skill",
    "brier": "Brier score",
}
CALIBRATION = {
    "temperature": "Temperature",
    "expected_calibration_error": "Calibration error",
    "expected_calibration_error_if_calibrated": "Calibration error, if calibrated",
    "calibrated_expected_calibration_error": "Calibration error, scaled",
    "log_loss": "Log loss",
    "calibrated_log_loss": "Log loss, scaled",
    "no_skill_log_loss": "Log loss, no skill",
    "brier": "Brier score",
}
OPERATING = {
    "operating_threshold": "Threshold",
    "val_operating_sensitivity": "Sensitivity, validation",
    "operating_sensitivity": "Sensitivity",
    "operating_specificity": "Specificity",
    "operating_ppv": "PPV",
    "operating_npv": "NPV",
}
COST = {"parameters": "Parameters", "multiply_adds": "Multiply-adds", "file_mb": "File, MB"}
ORDERED = {
    "quadratic_weighted_kappa": "Quadratic-weighted kappa",
    "mean_absolute_grade_error": "Mean error in grades",
}
PER_CLASS = {
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "support": "Test images",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: main line.
        sub: smaller line below it.
        order: value to sort by; None sorts last.
        marks: pairs of kind and text.
        bar: interval to draw, in per cent of the width: start, width, score, baseline.
    """

    text: str
    sub: str = ""
    order: float | str | None = None
    marks: tuple[tuple[str, str], ...] = ()
    bar: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: name in the page, for its HTML id.
        caption: text above the table.
        columns: headings; the first column names the rows.
        rows: cells by row.
        foot: rows that stay below when the table is sorted.
        text_columns: indices of left-aligned columns.
        sortable: True if a click on a heading sorts the table.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]
    foot: list[list[Cell]] = field(default_factory=list)
    text_columns: tuple[int, ...] = (0,)
    sortable: bool = False


def models_table(study: Study) -> Table:
    """Return the table of all models, the best on test first, with the baseline in its foot."""
    columns = [("Balanced accuracy", lambda name: _bar(study, name)), *_repeated(study)]
    for score, label in (
        *((("patient_balanced_accuracy", "Balanced accuracy, patients"),) if study.case == "test image" else ()),
        ("accuracy", "Accuracy"),
        ("macro_f1", "F1, macro"),
        ("roc_auc", "ROC AUC"),
        ("quadratic_weighted_kappa", "Weighted kappa"),
    ):
        if study.has(score):
            columns.append((label, lambda name, score=score: score_cell(study.scores[name], score)))
    columns.append(("On validation", lambda name: score_cell(study.scores[name], "val_balanced_accuracy")))
    ranks = dict(zip(study.table["model"], study.table["rank"], strict=True))
    columns = [
        ("Rank", lambda name: Cell(f"{ranks[name]:.0f}", order=float(ranks[name]))),
        *columns,
        ("Starts from", lambda name: Cell(study.starts[name], order=study.starts[name])),
    ]
    rows = [
        [
            Cell(study.titles[name], order=study.titles[name], marks=_marks(study, name)),
            *(cell(name) for _, cell in columns),
        ]
        for name in study.titles
    ]
    base = {
        "Balanced accuracy": number(study.headline["baseline_balanced_accuracy"]),
        "Accuracy": number(study.headline["baseline_accuracy"]),
    }
    foot = [[Cell("Always the majority class"), *(Cell(base.get(label, "")) for label, _ in columns)]]
    if CEILING in study.headline:
        ceiling = Cell(number(study.headline[CEILING]), span(study.headline, CEILING))
        cells = (ceiling if label == "Balanced accuracy" else Cell("") for label, _ in columns)
        foot.append([Cell(CEILING_ROW[0].upper() + CEILING_ROW[1:]), *cells])
    caption = (
        f"Scores on {count(study.n, study.case)} with {study.confidence} intervals over groups of images. "
        f"{'Scores are means over the repeats, and intervals are of patients and repeats; confusion matrices and curves show the first repeat. ' if study.repeats > 1 else ''}"
        f"{'Click a heading to sort by its column.' if len(rows) > 1 else ''}"
    )
    return Table(
        "models",
        caption,
        ("Model", *(label for label, _ in columns)),
        rows,
        foot,
        (0, len(columns)),
        sortable=len(rows) > 1,
    )


def score_table(
    study: Study, name: str, caption: str, columns: Mapping[str, str], cell: Callable | None = None
) -> Table | None:
    """Return a table of some scores of all models, without scores that no model has; None if none is left."""
    kept = {score: label for score, label in columns.items() if study.has(score)}
    cell = cell or score_cell
    rows = [
        [Cell(title, order=title), *(cell(study.scores[model], score) for score in kept)]
        for model, title in study.titles.items()
    ]
    return Table(name, caption, ("Model", *kept.values()), rows, sortable=len(rows) > 1) if kept else None


def cost_cell(scores: Mapping[str, object], score: str) -> Cell:
    """Return the cell of a size or count, with a unit prefix; a score has the cell of other tables."""
    value = scores.get(score)
    return (
        Cell(number(value, 1) if score == "file_mb" else large(value), order=_order(value))
        if score in COST
        else score_cell(scores, score)
    )


def class_table(study: Study, model: str) -> Table:
    """Return the table of a model's scores for each class."""
    scores = study.scores[model]
    kept = {
        stem: label
        for stem, label in PER_CLASS.items()
        if any(stem in scores["classes"][name] for name in study.classes)
    }
    kept |= {"support": f"{study.case.capitalize()}s"} if "support" in kept else {}
    rows = [
        [
            Cell(name),
            *(
                Cell(str(scores["classes"][name].get("support", NONE)))
                if stem == "support"
                else score_cell(scores["classes"][name], stem)
                for stem in kept
            ),
        ]
        for name in study.classes
    ]
    return Table(f"classes-{model}", f"{study.titles[model]} by class", ("Class", *kept.values()), rows)


def pairs_table(study: Study) -> Table | None:
    """Return the pairs that differ after Holm's correction, by rising p; None if there are none."""
    rows = study.pairs[study.pairs["p_bootstrap_holm"] < ALPHA] if len(study.pairs) else study.pairs
    if not len(rows):
        return None
    tests = {"p_bootstrap_holm": "p, bootstrap", "p_mcnemar_holm": "p, McNemar", "p_delong_holm": "p, DeLong"}
    tests = {column: label for column, label in tests.items() if column in rows and rows[column].notna().any()}
    lines = [
        [
            Cell(study.titles[row["one"]], order=study.titles[row["one"]]),
            Cell(study.titles[row["other"]], order=study.titles[row["other"]]),
            Cell(
                signed(row["difference"]),
                f"{signed(row['difference_low'])} to {signed(row['difference_high'])}",
                row["difference"],
            ),
            *(Cell(p_value(row[column]), order=_order(row[column])) for column in tests),
        ]
        for row in rows.sort_values(["p_bootstrap_holm", "one", "other"], kind="stable").to_dict("records")
    ]
    caption = f"Pairs that differ in balanced accuracy at {ALPHA:g} after Holm's correction (n = {study.n})"
    return Table(
        "pairs",
        caption,
        ("One", "Other", "Difference", *tests.values()),
        lines,
        text_columns=(0, 1),
        sortable=len(lines) > 1,
    )


def split_table(study: Study) -> Table:
    """Return the table of images by split and class."""
    rows = [
        [
            Cell(name),
            *(Cell(str(study.data[split][name])) for split in ("train", "val", "test")),
            Cell(str(sum(study.data[split][name] for split in ("train", "val", "test")))),
        ]
        for name in study.classes
    ]
    totals = [sum(study.data[split].values()) for split in ("train", "val", "test")]
    foot = [[Cell("All"), *(Cell(str(total)) for total in totals), Cell(str(sum(totals)))]]
    return Table("split", "Images by split and class", ("Class", "Training", "Validation", "Test", "All"), rows, foot)


def sources_table(study: Study) -> Table:
    """Return published accuracies and those of this study's networks of the same name, each with its n."""
    rows = []
    for source, network, accuracy, interval in reported():
        ours = study.scores.get(network)
        implied = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
        here = Cell(number(ours["accuracy"]), span(ours, "accuracy")) if ours else Cell(NONE)
        rows.append(
            [
                Cell(source.name),
                Cell(source.data),
                Cell(_title(network)),
                Cell(number(accuracy, 2 if accuracy == round(accuracy, 2) else 3), implied),
                Cell(str(source.n or "unknown")),
                here,
                Cell(str(ours["n"]) if ours else NONE),
            ]
        )
    columns = ("System", "Its test data", "Network", "Reported accuracy", "n", "Accuracy here", "n here")
    caption = "Images, classes and splits differ: the accuracies are listed for orientation, not for a ranking"
    return Table("sources", caption, columns, rows, text_columns=(0, 1, 2))


def _title(network: str) -> str:
    return model_title(network) if is_model(network) else network


def _repeated(study: Study) -> list[tuple[str, Callable[[str], Cell]]]:
    """Return a column with the standard deviation over repeats, if there are any."""
    score = "balanced_accuracy_sd"
    if not study.has(score):
        return []
    label = f"SD of {study.repeats} repeats{' of all folds' if study.folds > 1 else ''}"
    return [
        (label, lambda name: Cell(number(study.scores[name].get(score)), order=_order(study.scores[name].get(score))))
    ]


def _marks(study: Study, name: str) -> tuple[tuple[str, str], ...]:
    scores, head = study.scores[name], study.headline
    row = study.row(name)
    kind, below = row["kind"], "" if beats_baseline(row) else f"{NOT_ABOVE} {baseline_of(head)}"
    marks = (
        (name == head["model"], "chosen", choice_words(head)),
        (kind != "model", "plain", kind),
        (name == head["best"] and len(study.table) > 1, "plain", "highest on test"),
        (name in study.alike, "plain", "≈ highest"),
        (not beats_baseline(row), "plain", below),
        (scores.get("collapsed"), "bad", "collapsed"),
        (scores.get("nearly_collapsed") and not scores.get("collapsed"), "bad", "nearly collapsed"),
        (scores.get("leak_suspect"), "bad", "leak suspected"),
    )
    return tuple((kind, text) for applies, kind, text in marks if applies)


def _bar(study: Study, name: str) -> Cell:
    scores, score = study.scores[name], "balanced_accuracy"
    value, low, high = scores[score], scores.get(f"{score}_low"), scores.get(f"{score}_high")
    has_interval = not (missing(low) or missing(high))
    base = study.headline["baseline_balanced_accuracy"]
    bar = (100 * low, 100 * (high - low), 100 * value, 100 * base) if has_interval else None
    return Cell(number(value), span(scores, score), value, bar=bar)


def score_cell(scores: Mapping[str, object], score: str) -> Cell:
    """Return a score with its interval, sorted by its value; a dash if it is undefined."""
    value = scores.get(score)
    return Cell(number(value), span(scores, score), _order(value))


def _order(value: object) -> float | None:
    return None if missing(value) else float(value)
