"""Sentences of the report that depend on the study."""

from bonexray.report.data import Study
from bonexray.results.tables import comparison_sentence, warnings_of
from bonexray.results.wording import count, listed, missing, number, span


def answer(study: Study) -> list[str]:
    """Return the result in a few sentences: the chosen model, its test score, the baseline, and ties."""
    head, title = study.headline, study.titles[study.headline["model"]]
    models = len(study.networks)
    sentences = [
        f"Of {models} networks on {head['dataset']}, {title} was chosen on validation."
        if models > 1
        else f"The study has a single network, {title}, on {head['dataset']}.",
        f"On {count(study.n, 'test image')} it reaches a balanced accuracy of {number(head['balanced_accuracy'])} "
        f"({study.confidence} interval {span(head, 'balanced_accuracy')}); always predicting the majority class reaches "
        f"{number(head['baseline_balanced_accuracy'])}.",
    ]
    if len(study.table) > 1:
        sentences.append(comparison_sentence(study.table))
    return sentences


def study_warnings(study: Study) -> list[str]:
    """Return warnings that a reader needs before using a number of this study."""
    warnings = warnings_of(study.headline)
    collapsed = [study.titles[name] for name in study.titles if study.scores[name].get("collapsed")]
    if collapsed:
        warnings.append(f"Collapsed, with one prediction for every test image: {listed(collapsed)}.")
    chosen, baseline = study.headline.get("balanced_accuracy_low"), study.headline["baseline_balanced_accuracy"]
    if not missing(chosen) and chosen <= baseline:
        warnings.append(
            f"The chosen model's interval begins at {number(chosen)}, not above {number(baseline)}, the score of always "
            "predicting the majority class: the study does not show that it learned anything."
        )
    return warnings


def limitations(study: Study) -> list[str]:
    """Return the limitations that follow from the design of the study."""
    settings, limits = study.settings, []
    if study.simulated:
        limits.append("The images are simulated radiographs. The results are no evidence about patients.")
    limits.append(
        f"{count(study.n, 'test image')} of {count(int(study.scores[study.headline['model']].get('n_groups') or study.n), 'group')}: "
        "the intervals are accordingly wide, and small differences cannot be detected."
    )
    if study.folds == 1:
        limits.append("One split. Another test set would give other scores; the intervals reflect this only in part.")
    else:
        limits.append(
            "Each image is in the test set of one fold and in the validation set of another, so scores of a model chosen "
            "on validation are slightly too high."
        )
    if study.repeats == 1:
        limits.append("Each network was trained once. The variation over seeds was not measured.")
    limits.append("No images from another hospital, scanner or year were tested; external validity is unknown.")
    if len(study.table) > 1:
        limits.append(
            "The highest test score is the maximum of several and therefore too high on average; quote the model chosen on "
            "validation."
        )
    if "random" in " ".join(study.starts.values()):
        limits.append("Backbones with random weights say nothing about the pretrained networks of the same name.")
    if study.data["leak_suspect"]:
        limits.append("The split that came with the data has copies of an image, or one patient, on both sides.")
    if not (settings.dataset.group_column or settings.dataset.group_pattern):
        limits.append(
            "The settings name no patients. Different images of one patient may be in different splits; only copies of an "
            "image and the patient IDs of DICOM files are grouped automatically."
        )
    limits.append(
        "The audit detects some kinds of copies and shortcuts; it does not look for burnt-in text, side markers or traces "
        "of the scanner."
    )
    return limits
