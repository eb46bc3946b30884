"""Three common questions on comparing networks for X-rays, answered from the scores of the study."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bonexray.registry import BACKBONES, is_model, model_title
from bonexray.report.data import Study
from bonexray.results.grid import FILTERS
from bonexray.results.wording import count, listed, number, p_value, signed, with_interval

ALPHA = 0.05  # significance level, after Holm's correction


@dataclass(frozen=True)
class Question:
    """A question and the study's answer.

    Attributes:
        title: the question.
        answers: paragraphs of the answer; none if the study does not address the question.
        command: command for a study that addresses the question, or adds to the answer; empty if there is none.
    """

    title: str
    answers: tuple[str, ...]
    command: str


def questions(study: Study) -> list[Question]:
    """Return the three questions with their answers."""
    return [transfer(study), best_network(study), preprocessing(study)]


def transfer(study: Study) -> Question:
    """Compare ImageNet weights with training from scratch, by the best network of each on validation."""
    pretrained = [name for name in study.networks if "imagenet" in study.starts[name]]
    scratch = [name for name in study.networks if study.cards[name]["mode"] == "scratch"]
    title = "Does transfer learning help with so few images?"
    if not (pretrained and scratch):
        return Question(title, (), "dvc exp run -S model=all -S weights.source=imagenet")
    one, other = _preferred(study, pretrained), _preferred(study, scratch)
    controls = {name: BACKBONES[name].control_of for name in study.networks if name in BACKBONES}
    answers = (
        *(
            f"The same network with random weights: {_score(study, control)}, and {_score(study, name)} with ImageNet "
            f"weights. {_verdict(study, name, control)}"
            for control, name in controls.items()
            if name in pretrained and study.starts[control] == "random"
        ),
        f"{_range(study, pretrained, 'from ImageNet weights')} {_range(study, scratch, 'from scratch')}",
        f"The best of each kind on validation: {_score(study, one)}, and {_score(study, other)}. "
        f"{_verdict(study, one, other)}",
        f"{count(sum(study.data['train'].values()), 'training image')}, {count(study.n, study.case)}. The kinds differ in "
        "architecture as well as in starting weights, so this compares practical choices, not the weights alone.",
    )
    return Question(title, answers, "")


def best_network(study: Study) -> Question:
    """Name the chosen model, the highest test score, and the models that cannot be distinguished from it."""
    title, head = "Which network is best?", study.headline
    if len(study.networks) < 2:
        return Question(title, (), "dvc exp run -S model=all")
    best, others = head["best"], len(study.table) - 1
    answers = [
        f"Chosen on validation: {_score(study, head['model'])}. Highest on test: {_score(study, best)}.",
        f"Not distinguishable from {study.titles[best]} by the paired bootstrap after Holm's correction, at {ALPHA:g}: "
        f"{listed([study.titles[name] for name in study.alike])} ({len(study.alike)} of {others}; n = {study.n})."
        if study.alike
        else f"Every other model differs from it after Holm's correction, at {ALPHA:g} (n = {study.n}).",
    ]
    answers += planned(study) + power(study)
    if len(study.alike) == others:
        answers.append("So this study does not establish a best network; that would take more test images.")
    return Question(title, tuple(answers), "")


def planned(study: Study) -> list[str]:
    """Return the result of the comparison that was planned beforehand; nothing without one."""
    pairs = study.pairs[study.pairs["primary"] == 1] if "primary" in study.pairs else study.pairs[:0]
    return [
        f"Planned beforehand, and tested without correction: {study.titles[pair['one']]} against "
        f"{study.titles[pair['other']]}, difference {signed(pair['difference'])} ({signed(pair['difference_low'])} to "
        f"{signed(pair['difference_high'])}), p {p_value(pair['p_bootstrap'])}. All other comparisons are exploratory."
        for pair in pairs.to_dict("records")
    ]


def power(study: Study) -> list[str]:
    """Return the smallest difference that the test set can show, and the patients that a small one needs."""
    head = study.headline
    if "detectable_difference" not in head:
        return []
    return [
        f"With 80 % power this test set detects a difference of {number(head['detectable_difference'])} in balanced "
        f"accuracy between two models named beforehand, and of {number(head['detectable_difference_panel'])} between any "
        f"two after correction; detecting a difference of 0.05 would take about {head['patients_needed']} and "
        f"{head['patients_needed_panel']} patients."
    ]


def preprocessing(study: Study) -> Question:
    """Report the image quality after filtering, and the scores by filter if a grid of filters was run."""
    method, quality = study.settings.denoise.method, study.quality
    answers = []
    if method != "none":
        answers.append(
            f"Image quality: {method} changes PSNR from {number(quality['psnr_before_db'], 1)} to "
            f"{number(quality['psnr_after_db'], 1)} dB and SSIM from {number(quality['ssim_before'], 2)} to "
            f"{number(quality['ssim_after'], 2)} ({measured_on(study)})."
        )
    grid = _filters(study)
    answers += grid
    command = "" if grid else "dvc exp run --queue -S 'denoise.method=none,median,bm3d', dvc queue start, bonexray grid"
    if answers and not grid:
        answers.append("Predictions: not addressed by this study, which has a single filter.")
    return Question("What does preprocessing change?", tuple(answers), command)


def measured_on(study: Study) -> str:
    """Return which images PSNR and SSIM were measured on, and against what."""
    images = study.quality["images"]
    if study.settings.dataset.reference:
        return f"n = {count(images, 'image')}, against the clean originals"
    return (
        f"n = {images} of {count(study.data['images'], 'image')}, with added noise of sigma "
        f"{study.settings.denoise.quality_sigma:g}, against the same images without it"
    )


def _filters(study: Study) -> list[str]:
    """Report the validation scores by filter, over the networks with every filter, and the test score of the best."""
    grid = study.filters
    wide = grid.pivot_table(index="Model", columns="Filter", values="Balanced accuracy").dropna() if len(grid) else grid
    if wide.empty or wide.shape[1] < 2:
        return []
    order = wide.mean().sort_values(ascending=False, kind="stable")
    means = ", ".join(f"{name} {number(value)}" for name, value in order.items())
    answers = [
        f"Predictions on {_sizes(grid['Images'])} validation images: mean balanced accuracy over "
        f"{count(len(wide), 'network')} trained with every filter: {means}. Other validation scores are in {FILTERS}."
    ]
    if "none" in wide:
        gains = {name: int((wide[name] > wide["none"]).sum()) for name in order.index if name != "none"}
        gained = ", ".join(f"{name} for {better} of {len(wide)}" for name, better in gains.items())
        answers.append(
            f"Better than no filter on validation: {gained}. Without intervals this is a tendency, not proof."
        )
    return [*answers, _tested_cell(study)]


def _tested_cell(study: Study) -> str:
    """Report the network and filter chosen on validation from the whole grid, with their score on test."""
    cell = study.filters[study.filters["Chosen"] == 1].iloc[0]
    title = model_title(cell["Model"]) if is_model(cell["Model"]) else cell["Model"]
    choice = f"{title} with {cell['Filter']}, {number(cell['Balanced accuracy'])}"
    chosen = f"Chosen on validation from all {len(study.filters)} pairs of network and filter: {choice}"
    if pd.isna(cell["Test images"]):
        return (
            f"{chosen}. It has no test score: with folds, each test image is another fold's validation image, so it took "
            "part in the choice."
        )
    test = {"score": cell["Test balanced accuracy"], "score_low": cell["Test low"], "score_high": cell["Test high"]}
    return (
        f"{chosen}. On test, which took no part in this choice: {with_interval(test, 'score')} "
        f"(n = {int(cell['Test images'])})."
    )


def _sizes(numbers: pd.Series) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _preferred(study: Study, names: list[str]) -> str:
    """Return the best network on validation, by the study's own rule."""
    return min(
        names, key=lambda name: (-study.scores[name]["val_balanced_accuracy"], study.scores[name]["val_log_loss"], name)
    )


def _score(study: Study, name: str) -> str:
    return f"{study.titles[name]} with {with_interval(study.scores[name], 'balanced_accuracy')}"


def _range(study: Study, names: list[str], kind: str) -> str:
    values = sorted(study.scores[name]["balanced_accuracy"] for name in names)
    scores = number(values[0]) if len(values) == 1 else f"{number(values[0])} to {number(values[-1])}"
    return f"{count(len(names), 'network')} {kind}: balanced accuracy {scores} on test."


def _verdict(study: Study, one: str, other: str) -> str:
    """Return the result of the paired comparison of two models."""
    pair = pair_of(study, one, other)
    low, high = pair["difference_low"], pair["difference_high"]
    interval = f"{signed(low)} to {signed(high)}"
    facts = (
        f"difference {signed(pair['difference'])} ({interval}), Holm-corrected p {p_value(pair['p_bootstrap_holm'])}"
    )
    if not pair["p_bootstrap_holm"] < ALPHA:  # an undefined p decides nothing either
        return f"The study does not decide it: {facts}."
    return f"{'Yes' if pair['difference'] > 0 else 'No, the opposite'}, in this study: {facts}."


def pair_of(study: Study, one: str, other: str) -> Mapping[str, float]:
    """Return the row of `pairs` for two models, with the difference as `one` minus `other`."""
    pairs = study.pairs
    rows = pairs[(pairs["one"] == one) & (pairs["other"] == other)]
    if len(rows):
        return rows.iloc[0].to_dict()
    row = pairs[(pairs["one"] == other) & (pairs["other"] == one)].iloc[0].to_dict()
    reversed_signs = {
        "difference": -row["difference"],
        "difference_low": -row["difference_high"],
        "difference_high": -row["difference_low"],
    }
    return {**row, "one": one, "other": other, **reversed_signs}
