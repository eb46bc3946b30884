"""The report's sentences that depend on the study."""

from bonexray.report.data import Study
from bonexray.results.tables import comparison_sentence, warnings_of
from bonexray.results.wording import count, listed, missing, number, span


def answer(study: Study) -> list[str]:
    """The study's result in a few sentences: chosen on validation, its test score, the baseline, and who ties."""
    head, title = study.headline, study.titles[study.headline["model"]]
    models = len(study.networks)
    sentences = [
        f"Of {models} networks on {head['dataset']}, validation chose {title}."
        if models > 1
        else f"The study has one network, {title}, on {head['dataset']}.",
        f"On {count(study.n, 'test image')} it reaches a balanced accuracy of {number(head['balanced_accuracy'])} "
        f"({study.confidence} interval {span(head, 'balanced_accuracy')}); always answering the majority class gives "
        f"{number(head['baseline_balanced_accuracy'])}.",
    ]
    if len(study.table) > 1:
        sentences.append(comparison_sentence(study.table))
    return sentences


def study_warnings(study: Study) -> list[str]:
    """What must be known before a number of this study is used."""
    warnings = warnings_of(study.headline)
    fallen = [study.titles[name] for name in study.titles if study.scores[name].get("collapsed")]
    if fallen:
        warnings.append(f"Collapsed, one answer to every test image: {listed(fallen)}.")
    chosen, baseline = study.headline.get("balanced_accuracy_low"), study.headline["baseline_balanced_accuracy"]
    if not missing(chosen) and chosen <= baseline:
        warnings.append(
            f"The chosen model's interval reaches down to {number(chosen)}, not above the {number(baseline)} of always "
            "answering the majority class: the study does not show that it learnt anything."
        )
    return warnings


def limitations(study: Study) -> list[str]:
    """What these results cannot say, from what the study is."""
    settings, found = study.settings, []
    if study.simulated:
        found.append("The images are simulated radiographs. Nothing here is evidence about patients.")
    found.append(
        f"{count(study.n, 'test image')} of {count(int(study.scores[study.headline['model']].get('n_groups') or study.n), 'group')}: "
        "the intervals are as wide as that makes them, and small differences cannot be seen."
    )
    if study.folds == 1:
        found.append(
            "One split. Another draw of the test set would give other numbers; the intervals cover that only in part."
        )
    else:
        found.append(
            "Each image is tested in one fold and validates in another, so what is gained by choosing on validation is "
            "slightly too good."
        )
    if study.repeats == 1:
        found.append("Each network was trained once. How much a result changes with the seed was not measured.")
    found.append("No images of another hospital, scanner or year were tried; external validity is unknown.")
    if len(study.table) > 1:
        found.append(
            "The highest score on test is the best of many and therefore too good on average; the model chosen on "
            "validation is the one to quote."
        )
    if "random" in " ".join(study.starts.values()):
        found.append(
            "Backbones that start from random weights say nothing about the pretrained networks of the same name."
        )
    if study.data["leak_suspect"]:
        found.append("Copies or patients stand on both sides of the split that came with the data.")
    if not (settings.dataset.group_column or settings.dataset.group_pattern):
        found.append(
            "No patient is named in the data's settings. Two different images of one patient may stand in two splits; only "
            "copies of a picture and the patient IDs of DICOM files were found by themselves."
        )
    found.append(
        "The audit finds copies and shortcuts of a few kinds, not all: burnt-in text, side markers and the scanner's "
        "signature are not looked for."
    )
    return found
