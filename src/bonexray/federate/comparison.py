"""What a federation gains: every site alone, the federation, and all images in one place, on the same test images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from bonexray.aggregate.comparison import compare_pairs
from bonexray.aggregate.multiplicity import holm
from bonexray.base.errors import BonexrayError
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.metrics import balanced_accuracy
from bonexray.evaluate.settings import Evaluate
from bonexray.federate.plan import FEDAVG, FEDPROX, Plan
from bonexray.federate.rounds import FederatedHead
from bonexray.federate.simulation import simulate
from bonexray.federate.site import FEWEST, Site
from bonexray.federate.sites import UNKNOWN
from bonexray.learning_curve.scoring import judged, scores_of_draws
from bonexray.networks.scaling import mean_and_std
from bonexray.train.linear import scaled
from bonexray.train.regression import Labelled, best_of, fit_strengths, probabilities_of

CENTRAL, ALONE = "all in one place", "{site} alone"


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """A study that is split into sites.

    Attributes:
        whole: all images of the sites that take part, and all test images.
        sites: name to its images, in the order of the names.
        left_out: why each other site takes no part.
    """

    whole: Site
    sites: Mapping[str, Site]
    left_out: Mapping[str, str]


def rehearsal_of(study: Site, names: np.ndarray) -> Rehearsal:
    """Split a study into sites.

    Args:
        study: its images.
        names: object (images,), the site of each; `UNKNOWN` takes no part, but its test images are tested.

    Raises:
        BonexrayError: fewer than two sites have enough images.
    """
    every = {name: study.where(names == name) for name in sorted(set(names) - {UNKNOWN})}
    sites = {name: site for name, site in every.items() if site.takes_part}
    reason = f"fewer than {FEWEST} training patients, or no validation images"
    left_out = {name: reason for name in every if name not in sites}
    if len(sites) < 2:
        received = f"{len(sites)} of {len(every)}"
        expected = f"two sites with {FEWEST} training patients and validation images"
        raise BonexrayError("sites", expected=expected, received=received, do="name another column, or use --deal")
    test = (study.rows["split"] == "test").to_numpy()
    return Rehearsal(study.where(np.isin(names, list(sites)) | test), sites, left_out)


def compare(
    rehearsal: Rehearsal, plan: Plan, settings: Evaluate, on_head: Callable[[str], None]
) -> tuple[dict[str, object], dict[str, FederatedHead]]:
    """Train every site alone, the federation by both strategies, and all images in one place; score them on test.

    Args:
        rehearsal: the sites.
        plan: rounds and steps; its strategy comes first, the other beside it.
        settings: resamples, confidence, seed, unit and prevalence.
        on_head: is told the name of each head before it is trained.

    Returns:
        What metrics/federated.json has, see docs/federated.md; and the head of each strategy.
    """
    answers, heads = {}, {}
    for strategy in sorted((FEDAVG, FEDPROX), key=lambda name: name != plan.strategy):
        on_head(strategy)
        heads[strategy] = simulate(list(rehearsal.sites.values()), plan.model_copy(update={"strategy": strategy}))
        answers[strategy] = heads[strategy].probabilities(rehearsal.whole.features)
    on_head(CENTRAL)
    answers[CENTRAL] = alone(rehearsal.whole, rehearsal.whole)
    for name, site in rehearsal.sites.items():
        on_head(ALONE.format(site=name))
        if site.of("train").rows["label"].nunique() > 1:  # with one class there is nothing to learn alone
            answers[ALONE.format(site=name)] = alone(site, rehearsal.whole)
    scores, pairs = _scored(rehearsal.whole, answers, settings)
    result = {
        "model": rehearsal.whole.recipe["model"],
        "plan": plan.model_dump(include={"strategy", "rounds", "local_steps", "mu"}),
        "scores": scores,
        "differences": pairs,
        "sites": {name: _facts(site, name, rehearsal, plan, answers) for name, site in rehearsal.sites.items()},
        "left_out": dict(rehearsal.left_out),
        "strategies": {
            name: {"strength": head.strength, "images": head.images, "val_log_loss": head.log_losses}
            for name, head in heads.items()
        },
    }
    return result, heads


def alone(site: Site, tested: Site) -> np.ndarray:
    """Fit the head of a site as the stage `train` does, on its own images only, and predict others.

    Returns:
        Float (images of `tested`, classes), probabilities.
    """
    classes, head, scaling = len(site.classes), site.recipe["head"], None
    if head["standardize"]:
        mean, std = mean_and_std([site.of("train").features])
        scaling = mean.astype(np.float32), std.astype(np.float32)
    parts = [
        Labelled(scaled(part.features, scaling), np.eye(classes)[part.labels])
        for part in map(site.of, ("train", "val"))
    ]
    class_weight = "balanced" if head["class_weights"] == "balanced" else None
    with threadpool_limits(1):
        weights = best_of(fit_strengths(*parts, classes, class_weight)).weights
        return probabilities_of(weights, scaled(tested.features, scaling))


def _scored(
    whole: Site, answers: Mapping[str, np.ndarray], settings: Evaluate
) -> tuple[dict[str, dict[str, float]], list[dict[str, object]]]:
    """Return the scores of each head on test, and its paired differences from the first, with Holm's correction."""
    rows = whole.rows[["id", "path", "group", "split", "label"]].assign(repeat=1, fold=1)
    learned = "uniform" if whole.recipe["head"]["class_weights"] == "balanced" else "train"
    tests = {name: judged(rows, values, "test", whole.classes, settings, learned) for name, values in answers.items()}
    first = next(iter(tests.values())).own
    draws = draw(first.groups, settings.resamples, settings.seed)
    scores = {name: scores_of_draws([test], draws, settings)[0] for name, test in tests.items()}
    probabilities = {name: test.own.probabilities for name, test in tests.items()}
    pairs = compare_pairs(first.labels, draws, probabilities, whole.classes, settings.confidence)
    with_first = pairs[pairs["one"] == next(iter(tests))]
    columns = ["one", "other", "difference", "difference_low", "difference_high", "p_bootstrap", "p_mcnemar"]
    table = with_first[columns].assign(p_holm=holm(with_first["p_bootstrap"].to_numpy()))
    kept = ("balanced_accuracy", "log_loss")
    short = {
        name: {key: value for key, value in each.items() if key.startswith(kept) and not key.endswith("_sd")}
        for name, each in scores.items()
    }
    return short, table.to_dict("records")


def _facts(
    site: Site, name: str, rehearsal: Rehearsal, plan: Plan, answers: Mapping[str, np.ndarray]
) -> dict[str, object]:
    """Return the size of a site, and what it gains on its own test images, which are few."""
    counts = site.of("train").rows["label"].value_counts()
    facts = {
        "patients": {split: site.of(split).patients for split in ("train", "val", "test")},
        "images": {split: len(site.of(split).labels) for split in ("train", "val", "test")},
        "training_images": {label: int(counts.get(label, 0)) for label in site.classes},
    }
    rows = rehearsal.whole.rows
    mine = ((rows["split"] == "test") & rows["id"].isin(site.rows["id"])).to_numpy()
    heads = {plan.strategy: plan.strategy, "alone": ALONE.format(site=name)}
    own = {
        key: _balanced(rehearsal.whole.labels[mine], answers[head][mine])
        for key, head in heads.items()
        if head in answers and mine.any()
    }
    return {**facts, "own_test_balanced_accuracy": own}


def _balanced(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float(balanced_accuracy(labels, probabilities.argmax(axis=1), probabilities.shape[1]))
