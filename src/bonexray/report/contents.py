"""The report as one self-contained page, and its summary for a pull request."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from joblib import Parallel, delayed

from bonexray.licences import licences_used
from bonexray.registry import BASELINE, FINE_TUNE, FROZEN, FULL, SCRATCH
from bonexray.report.checklists import CLAIM, TRIPOD, checklist
from bonexray.report.clinical import clinical_sentence, clinical_table
from bonexray.report.confounders import confounders_table
from bonexray.report.data import Study
from bonexray.report.external import external_results, external_warnings
from bonexray.report.grades import grade_pairs_table
from bonexray.report.images import model_pictures, picture
from bonexray.report.localisation import localisation_sentence, localisation_table
from bonexray.report.pages import page
from bonexray.report.prediction_sets import sets_sentences, sets_table, sets_warning
from bonexray.report.provenance import Provenance
from bonexray.report.questions import measured_on, questions
from bonexray.report.sources import SOURCES
from bonexray.report.subgroups import gaps_table, subgroup_sentence, subgroups_table
from bonexray.report.tables import (
    CALIBRATION,
    COST,
    FURTHER,
    OPERATING,
    ORDERED,
    class_table,
    cost_cell,
    models_table,
    pairs_table,
    score_table,
    sources_table,
    split_table,
)
from bonexray.report.text import (
    answer,
    limitations,
    more_patients,
    operating_caption,
    prior_sentence,
    study_warnings,
    training_sentence,
)
from bonexray.results.wording import number

FIGURES = (
    "confusion_matrix",
    "sample_predictions",
    "misclassified",
    "evaluation_figure",
    "roc",
    "precision_recall",
    "reliability",
    "decision_curve",
)
EXPLANATIONS = ("gradcam", "boxes", "architecture", "coefficients")
Result = TypeVar("Result")
MODE_WORDS = {
    SCRATCH: "from scratch",
    FROZEN: "frozen backbone",
    FINE_TUNE: "upper layers fine-tuned",
    FULL: "all layers fine-tuned",
    BASELINE: "a logistic regression",
}


def report_page(study: Study, provenance: Provenance) -> str:
    """Return the report as HTML with figures, style and script inside; it loads nothing from a network.

    Args:
        study: the finished study.
        provenance: versions and hashes of the study.
    """
    return page("report.html", **_common(study), **_pictures(study), **_tables(study), **_closing(study, provenance))


def summary_page(study: Study) -> str:
    """Return a summary in Markdown, short enough for a pull request."""
    rows = [(row["rank"], row["model"], study.scores[row["model"]]) for row in study.table.to_dict("records")]
    table = models_table(study)
    marks = {name: [text for _, text in line[0].marks] for name, line in zip(study.titles, table.rows, strict=True)}
    return page("summary.md", **_common(study), rows=rows, marks=marks)


def model_details(study: Study, name: str) -> dict[str, object]:
    """Return the content of a model's section: facts, scores by class and figures."""
    card, scores = study.cards.get(name, {}), study.scores[name]
    reports = study.root / "reports"
    folder, explained = reports / ("models" if card else "ensembles") / name, reports / "explained" / name
    facts = {
        "Training": MODE_WORDS[card["mode"]] if card else "",
        "Starts from": study.starts[name] if card else "",
        "Epochs": f"{scores['epochs']:.0f}" if scores.get("epochs") else "",
        "Fingerprint": str(card.get("fingerprint", ""))[:16],
    }
    likeness = study.explained.get(name, {}).get("randomised_likeness")
    return {
        "name": name,
        "title": study.titles[name],
        "score": number(scores["balanced_accuracy"]),
        "facts": {label: fact for label, fact in facts.items() if fact},
        "classes": class_table(study, name),
        "figures": model_pictures(folder, FIGURES, name, study.titles[name]),
        "explained": model_pictures(explained, EXPLANATIONS, name, study.titles[name]),
        "likeness": None if likeness is None else number(likeness, 2),
    }


def _common(study: Study) -> dict[str, object]:
    return {
        "study": study,
        "settings": study.settings,
        "head": study.headline,
        "split_changed": study.data.get("given_split_changed", ""),
        "answer": answer(study),
        "warnings": [*study_warnings(study), *external_warnings(study)],
        "alike": [study.titles[name] for name in study.alike],
        "questions": questions(study),
        "measured_on": measured_on(study),
        "no_better": _no_better(study),
        "limitations": limitations(study),
    }


def _pictures(study: Study) -> Mapping[str, object]:
    reports = study.root / "reports"
    named = {
        "counts": "cohort/class_counts.png",
        "gallery": "cohort/sample_gallery.png",
        "audit": "audit/pairs.png",
        "comparison": "comparison/models_comparison.png",
        "pairs": "comparison/models_pairs.png",
        "ranks": "comparison/models_critical_difference.png",
        "cost": "comparison/models_cost.png",
        "sets": "comparison/models_prediction_sets.png",
        "scores": "comparison/models_evaluation_grid.png",
        "confusions": "comparison/models_confusion_grid.png",
        "curves": "comparison/models_learning_curves.png",
        "views": "augmentation/views.png",
        "subgroups": "subgroups/subgroups.png",
        "patients": "learning_curve/learning_curve.png",
        "localisation": "explained/localisation.png",
    }
    if not study.data.get("lookalike_pairs"):
        del named["audit"]  # the figure would only say that there are none
    pictures = _on_all_cores(picture, (reports / file for file in named.values()))
    return {"pictures": {"audit": None, **dict(zip(named, pictures, strict=True))}}


def _tables(study: Study) -> Mapping[str, object]:
    after = "Scores before and after temperature scaling, fitted on validation"
    ordered = {**ORDERED, "balanced_accuracy": "Balanced accuracy"}
    costs = {"balanced_accuracy": "Balanced accuracy", **COST}
    return {
        "models": models_table(study),
        "pairs": pairs_table(study),
        "split": split_table(study),
        "further": score_table(study, "further", f"Further scores on the {study.case}s", FURTHER),
        "calibration": score_table(study, "calibration", after, CALIBRATION),
        "more_patients": more_patients(study),
        "learners": [study.titles[name] for name in study.patients["model"].unique()],
        "prior": prior_sentence(study),
        "training": training_sentence(study),
        "operating": score_table(study, "operating", operating_caption(study), OPERATING)
        if study.has("operating_threshold")
        else None,
        "sets": sets_table(study),
        "sets_words": sets_sentences(study),
        "sets_warning": sets_warning(study),
        "costs": score_table(study, "costs", "Size, computing cost for one image, and score", costs, cost_cell)
        if any(study.has(score) for score in COST)
        else None,
        "grades": score_table(study, "grades", "Agreement on the ordered scale", ordered) if study.ordered else None,
        "grade_pairs": grade_pairs_table(study),
        "external": external_results(study),
        "localisation": localisation_table(study),
        "localisation_sentence": localisation_sentence(study),
        "subgroups": subgroups_table(study),
        "gaps": gaps_table(study),
        "confounders": confounders_table(study),
        "clinical": clinical_table(study),
        "clinical_sentence": clinical_sentence(study),
        "subgroup_sentence": subgroup_sentence(study),
        "sources": sources_table(study),
        "details": _on_all_cores(lambda name: model_details(study, name), study.titles),
    }


def _on_all_cores(function: Callable[[object], Result], items: Iterable) -> list[Result]:
    """Return the results for all items, in order. Threads suffice, since encoding an image releases Python's lock."""
    return Parallel(n_jobs=-1, prefer="threads")(delayed(function)(item) for item in items)


def _closing(study: Study, provenance: Provenance) -> Mapping[str, object]:
    backbones = dict.fromkeys(backbone for card in study.cards.values() for backbone in card["backbones"])
    return {
        "provenance": provenance,
        "licences": licences_used(study.settings.denoise, study.settings.weights, backbones),
        "caveats": {source.name: source.caveat for source in SOURCES},
        "claim": checklist(CLAIM, study),
        "tripod": checklist(TRIPOD, study),
    }


def _no_better(study: Study) -> int:
    """Return the number of networks that score no higher on test than the facts of file and picture alone."""
    shortcut = study.data["shortcut_balanced_accuracy"]
    return sum(shortcut is not None and study.scores[name]["balanced_accuracy"] <= shortcut for name in study.networks)
