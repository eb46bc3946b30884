"""Sentences of the report that depend on the study."""

from collections import Counter

from bonexray.data.scores import collapse_of
from bonexray.registry import ORDINAL
from bonexray.report.confounders import confounder_warnings
from bonexray.report.data import Study
from bonexray.results.tables import baseline_sentences, ceiling_sentences, comparison_sentence, warnings_of
from bonexray.results.wording import count, listed, missing, number, signed, span

NO_SKILL = "no_skill_log_loss"


def answer(study: Study) -> list[str]:
    """Return the result in a few sentences: the chosen model, its test score, the baseline, and ties."""
    head, title = study.headline, study.titles[study.headline["model"]]
    models = len(study.networks)
    sentences = [
        _chosen(study) if models > 1 else f"The study has {_alone(study, title)} on {head['dataset']}.",
        f"On {count(study.n, study.case)} it reaches a balanced accuracy of {number(head['balanced_accuracy'])} "
        f"({study.confidence} interval {span(head, 'balanced_accuracy')}); always predicting the majority class reaches "
        f"{number(head['baseline_balanced_accuracy'])}.",
        *ceiling_sentences(head),
    ]
    if len(study.table) > 1:
        sentences += [*baseline_sentences(study.table, head), comparison_sentence(study.table)]
    return sentences


def _alone(study: Study, title: str) -> str:
    """Name the headline's model of a study with at most one network."""
    return f"a single network, {title}," if study.networks else f"no network; {title} is the better of its baselines"


def _chosen(study: Study) -> str:
    """Say which network was chosen on validation, or which by each fold."""
    head = study.headline
    start, by_fold = f"Of {len(study.networks)} networks on {head['dataset']}, ", head.get("chosen_by_fold")
    if not by_fold:
        return f"{start}{study.titles[head['model']]} was chosen on validation."
    times = Counter(study.titles[name] for name in by_fold.values())
    names = listed([f"{title} in {number} of {len(by_fold)} folds" for title, number in times.most_common()])
    return f"{start}each fold chose one on its own validation images: {names}. Test scores of the choices are pooled."


def study_warnings(study: Study) -> list[str]:
    """Return warnings that a reader needs before using a number of this study."""
    warnings = warnings_of(study.headline)
    collapses: dict[str, list[str]] = {}
    for name, title in study.titles.items():
        collapses.setdefault(collapse_of(study.scores[name]), []).append(title)
    warnings += [f"Collapsed, with {how}: {listed(titles)}." for how, titles in collapses.items() if how]
    warnings += _no_skill(study)
    warnings += confounder_warnings(study)
    chosen, baseline = study.headline.get("balanced_accuracy_low"), study.headline["baseline_balanced_accuracy"]
    if not missing(chosen) and chosen <= baseline:
        warnings.append(
            f"The chosen model's interval begins at {number(chosen)}, not above {number(baseline)}, the score of always "
            "predicting the majority class: the study does not show that it learned anything."
        )
    return warnings


def _no_skill(study: Study) -> list[str]:
    """Return a warning if the log loss of any model is above that of always predicting the class shares."""
    above = [
        title
        for name, title in study.titles.items()
        if not (missing(loss := study.scores[name].get("log_loss")) or missing(study.scores[name].get(NO_SKILL)))
        and loss > study.scores[name][NO_SKILL]
    ]
    if not above:
        return []
    return [
        f"Worse than knowing nothing, by log loss ({number(study.headline.get(NO_SKILL))} for always predicting the "
        f"class shares): {listed(above)}. Their probabilities mislead, whatever their accuracy."
    ]


def more_patients(study: Study) -> str:
    """Return what twice as many training patients brought to the first model of the learning curve."""
    curve = study.patients[study.patients["model"] == study.patients["model"].iloc[0]].set_index("share")
    half, title = curve.loc[0.5], study.titles[curve["model"].iloc[0]]
    gain = (
        f"From {half['patients']:.0f} to all {curve['patients'].iloc[-1]:.0f} training patients, the balanced accuracy of "
        f"{title} changes by {signed(half['gain'])} ({study.confidence} interval {signed(half['gain_low'])} to "
        f"{signed(half['gain_high'])})"
    )
    if half["gain_low"] > 0:
        return (
            f"{gain}: it is still rising, and a doubling of the patients may raise it further if that goes on, which is "
            "an extrapolation; it says nothing about more than a doubling."
        )
    return f"{gain}: more patients of this kind are not shown to help."


def training_sentence(study: Study) -> str:
    """Say how the networks were trained: by gradients, or by fitting linear heads."""
    train, linear = study.settings.train, len(study.linear_heads)
    texts = []
    if linear:
        texts.append(
            f"{count(linear, 'linear head')} on cached features: penalised logistic regressions, the penalty chosen on validation log loss."
        )
    if others := len(study.networks) - linear:
        texts.append(
            f"{count(others, 'network')} by gradients: up to {count(train.epochs, 'epoch')} with {train.optimizer}, learning rates up to {train.learning_rate:g}, batches of {count(train.batch_images, 'image')}, early stopping on validation log loss."
        )
    outputs = Counter(study.cards[name]["train"].get("output") for name in study.networks)
    texts += [
        f"{count(outputs[output], 'network')} with an output for ordered classes: {words}."
        for output, words in ORDINAL.items()
        if outputs[output]
    ]
    return " ".join(texts)


def prior_sentence(study: Study) -> str:
    """Return which class shares the probabilities assume, and how they were corrected to them."""
    settings, stated = study.settings, study.settings.evaluate.prevalence
    shares = ", ".join(f"{name} {share:g}" for name, share in stated.items()) if stated else ""
    prior = f"a stated prevalence ({shares})" if stated else "the class shares of training"
    if settings.train.class_weights == "balanced":
        how = "were corrected for the equal shares that balanced class weights imply"
    else:
        how = "were corrected from the class shares of training" if stated else "needed no correction"
    return (
        f"Log loss, Brier score and calibration use probabilities that assume {prior}; they {how}. Predictions and "
        "rankings are those of the uncorrected probabilities."
    )


def operating_caption(study: Study) -> str:
    """Return what the table of the operating point shows; empty if the study has none."""
    scores, wanted = study.scores[study.headline["model"]], study.settings.evaluate.sensitivity
    if missing(scores.get("operating_n")):
        return ""
    return (
        f"Threshold with a sensitivity of at least {number(wanted, 2)} for {scores['operating_positive']} on validation, "
        f"and its rates on {count(scores['operating_n'], 'test patient')} ({scores['operating_positives']} positive) with "
        f"exact {study.confidence} intervals; predictive values at a prevalence of "
        f"{number(scores['operating_prevalence'], 2)}"
    )


def limitations(study: Study) -> list[str]:
    """Return the limitations that follow from the design of the study."""
    settings, limits = study.settings, []
    if study.simulated:
        limits.append("The images are simulated radiographs. The results are no evidence about patients.")
    limits.append(
        f"{count(study.n, study.case)} of {count(int(study.scores[study.headline['model']].get('n_groups') or study.n), 'group')}: "
        "the intervals are accordingly wide, and small differences cannot be detected."
    )
    if study.folds == 1:
        limits.append("One split. Another test set would give other scores; the intervals reflect this only in part.")
    else:
        limits.append(
            "Each image is in the test set of one fold and in the validation set of another. The main result allows for "
            "this, because each fold chooses on its own validation images; the row of the network with the highest "
            "validation score over all folds does not, so its score is slightly too high."
        )
    if study.repeats == 1:
        limits.append("Each network was trained once. The variation over seeds was not measured.")
    if not study.external:
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
