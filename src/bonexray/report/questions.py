"""Three questions that comparisons of networks on X-rays are asked, answered from this study's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from bonexray.report.data import Study
from bonexray.results.grid import FILTERS
from bonexray.results.wording import count, listed, number, p_value, signed, with_interval

ALPHA = 0.05  # of the Holm-corrected tests


@dataclass(frozen=True)
class Question:
    """A question to the study.

    Attributes:
        title: the question.
        answers: what the study says, nothing where it was not asked.
        ask: what a study that asks it, or asks more of it, is run with; empty where nothing is left to ask.
    """

    title: str
    answers: tuple[str, ...]
    ask: str


def questions(study: Study) -> list[Question]:
    """All three, each answered or with how to ask it."""
    return [transfer(study), best_network(study), preprocessing(study)]


def transfer(study: Study) -> Question:
    """Networks from ImageNet weights beside networks trained from scratch, each side by whom validation prefers."""
    learnt = [name for name in study.networks if "imagenet" in study.starts[name]]
    scratch = [name for name in study.networks if study.cards[name]["mode"] == "scratch"]
    title = "Does transfer learning help on this little data?"
    if not (learnt and scratch):
        return Question(title, (), "dvc exp run -S model=all -S weights.source=imagenet")
    one, other = _preferred(study, learnt), _preferred(study, scratch)
    answers = (
        f"{_range(study, learnt, 'from ImageNet weights')} {_range(study, scratch, 'from scratch')}",
        f"Of each kind the network that validation prefers: {_score(study, one)} beside {_score(study, other)}. "
        f"{_verdict(study, one, other)}",
        f"{count(sum(study.data['train'].values()), 'training image')}, {count(study.n, 'test image')}. The kinds differ in "
        "architecture as well as in starting weights, so this compares what one would use, not the weights alone.",
    )
    return Question(title, answers, "")


def best_network(study: Study) -> Question:
    """The chosen network, the highest on test, and those that cannot be told from it."""
    title, head = "Which network is best?", study.headline
    if len(study.networks) < 2:
        return Question(title, (), "dvc exp run -S model=all")
    best, others = head["best"], len(study.table) - 1
    answers = [
        f"Validation chose {_score(study, head['model'])}. Highest on test is {_score(study, best)}.",
        f"Not told apart from {study.titles[best]} by the paired bootstrap after Holm's correction, at {ALPHA:g}: "
        f"{listed([study.titles[name] for name in study.alike])} ({len(study.alike)} of {others}; n = {study.n})."
        if study.alike
        else f"Every other model differs from it after Holm's correction, at {ALPHA:g} (n = {study.n}).",
    ]
    if len(study.alike) == others:
        answers.append("So this study does not name a best network; it would take more test images.")
    return Question(title, tuple(answers), "")


def preprocessing(study: Study) -> Question:
    """Image quality by the filter, and accuracy by filter where a grid of filters was run."""
    method, quality = study.settings.denoise.method, study.quality
    answers = []
    if method != "none":
        reference = (
            "their clean originals"
            if study.settings.dataset.reference
            else f"images to which noise of sigma {study.settings.denoise.quality_sigma:g} was added"
        )
        answers.append(
            f"For the pictures: {method} takes PSNR from {number(quality['psnr_before_db'], 1)} to "
            f"{number(quality['psnr_after_db'], 1)} dB and SSIM from {number(quality['ssim_before'], 2)} to "
            f"{number(quality['ssim_after'], 2)} (n = {quality['images']}, held against {reference})."
        )
    grid = _filters(study)
    answers += grid
    ask = "" if grid else "dvc exp run --queue -S 'denoise.method=none,median,bm3d', dvc queue start, bonexray grid"
    if answers and not grid:
        answers.append("For the answers of the networks: not asked by this study, which has one filter.")
    return Question("What does preprocessing change?", tuple(answers), ask)


def _filters(study: Study) -> list[str]:
    """Accuracy a filter over the models that all filters were tried on."""
    wide = study.filters.pivot_table(index="Model", columns="Filter", values="Accuracy") if len(study.filters) else None
    wide = None if wide is None else wide.dropna()
    if wide is None or wide.shape[1] < 2 or wide.empty:
        return []
    order = wide.mean().sort_values(ascending=False, kind="stable")
    means = ", ".join(f"{name} {number(value)}" for name, value in order.items())
    answers = [
        f"For the answers of the networks: mean test accuracy over {count(len(wide), 'network')} that saw every filter: {means}. "
        f"Other scores stand in {FILTERS}."
    ]
    if "none" in wide:
        gains = {name: int((wide[name] > wide["none"]).sum()) for name in order.index if name != "none"}
        gained = ", ".join(f"{name} for {better} of {len(wide)}" for name, better in gains.items())
        answers.append(f"Better than no filter: {gained}. Without intervals this is a direction, not a proof.")
    return answers


def _preferred(study: Study, names: list[str]) -> str:
    """By validation, as the study chooses."""
    return min(
        names, key=lambda name: (-study.scores[name]["val_balanced_accuracy"], study.scores[name]["val_log_loss"], name)
    )


def _score(study: Study, name: str) -> str:
    return f"{study.titles[name]} with {with_interval(study.scores[name], 'balanced_accuracy')}"


def _range(study: Study, names: list[str], kind: str) -> str:
    values = sorted(study.scores[name]["balanced_accuracy"] for name in names)
    reach = number(values[0]) if len(values) == 1 else f"{number(values[0])} to {number(values[-1])}"
    return f"{count(len(names), 'network')} {kind}: balanced accuracy {reach} on test."


def _verdict(study: Study, one: str, other: str) -> str:
    """What the paired comparison of two models says, whichever way round it was made."""
    pair = pair_of(study, one, other)
    low, high = pair["difference_low"], pair["difference_high"]
    reach = f"{signed(low)} to {signed(high)}"
    facts = f"difference {signed(pair['difference'])} ({reach}), Holm-corrected p {p_value(pair['p_bootstrap_holm'])}"
    if not pair["p_bootstrap_holm"] < ALPHA:  # a p that is not defined decides nothing either
        return f"The study does not decide it: {facts}."
    return f"{'Yes' if pair['difference'] > 0 else 'No, the contrary'}, here: {facts}."


def pair_of(study: Study, one: str, other: str) -> Mapping[str, float]:
    """The row of `pairs` for two models, turned so that the difference is that of `one` over `other`."""
    pairs = study.pairs
    straight = pairs[(pairs["one"] == one) & (pairs["other"] == other)]
    if len(straight):
        return straight.iloc[0].to_dict()
    row = pairs[(pairs["one"] == other) & (pairs["other"] == one)].iloc[0].to_dict()
    turned = {
        "difference": -row["difference"],
        "difference_low": -row["difference_high"],
        "difference_high": -row["difference_low"],
    }
    return {**row, "one": one, "other": other, **turned}
