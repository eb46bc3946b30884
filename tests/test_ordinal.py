"""Outputs for ordered classes without Keras: proper probabilities, the regressions behind them, and their prior."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight
from statsmodels.miscmodels.ordinal_model import OrderedModel

from bonexray.base.errors import BonexrayError
from bonexray.evaluate.prior import corrected
from bonexray.networks.outputs import OUTPUTS, corn, cumulative, even_logits
from bonexray.registry import ORDINAL, require_output
from bonexray.train.ordinal import SOLVERS, _loss_and_gradient, fit_corn, fit_cumulative
from bonexray.train.regression import Labelled, best_of, fit_strengths, probabilities_of

every_output = pytest.mark.parametrize("output", ORDINAL)
THRESHOLDS = np.array([1.5, 0.0, -2.0])  # of four grades: logits of a grade above the first, second and third


def planted(images: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Features (images, 3) and grades of a latent variable, with slopes 1, -0.5 and 0, that `THRESHOLDS` cut."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, 3))
    latent = features @ [1, -0.5, 0] + rng.logistic(size=images)
    return features, (latent[:, None] > -THRESHOLDS).sum(axis=1)


def even(labels: np.ndarray) -> np.ndarray:
    return np.ones(len(labels))


# Probabilities


@given(arrays(float, (4, 3), elements=st.floats(-60, 60)))
def test_probabilities_are_proper(logits: np.ndarray) -> None:
    for answers in (cumulative(-np.sort(-logits, axis=1)), corn(logits)):
        assert answers.shape == (4, 4)
        assert answers.min() >= 0
        assert answers.sum(axis=1) == pytest.approx(1)


@given(arrays(float, (1, 3), elements=st.floats(-30, 30)))
def test_probabilities_of_higher_grades_are_those_of_the_logits(logits: np.ndarray) -> None:
    falling = -np.sort(-logits, axis=1)
    above = cumulative(falling)[0, ::-1].cumsum()[::-1][1:]
    assert above == pytest.approx(expit(falling[0]), rel=1e-6, abs=1e-12)
    assert (np.diff(above) <= 1e-12).all()
    above = corn(logits)[0, ::-1].cumsum()[::-1][1:]
    assert above == pytest.approx(expit(logits[0]).cumprod(), rel=1e-6, abs=1e-12)


def test_a_grade_in_the_tail_keeps_its_probability() -> None:
    """A difference of two sigmoids would round to 0."""
    answers = cumulative(np.array([[50.0, 40.0], [-40.0, -50.0]]))
    assert answers[0, :2] == pytest.approx([np.exp(-50), np.exp(-40)], rel=1e-3)
    assert answers[1, 1:] == pytest.approx([np.exp(-40), np.exp(-50)], rel=1e-3)


@every_output
@pytest.mark.parametrize("classes", [3, 5])
def test_even_logits_give_equal_probabilities(output: str, classes: int) -> None:
    assert OUTPUTS[output](even_logits(output, classes)[None])[0] == pytest.approx(1 / classes)


# Regressions


def test_cumulative_logits_recover_planted_slopes_and_thresholds() -> None:
    features, labels = planted(20_000)
    slopes, bias = fit_cumulative(features, labels, 4, even(labels), 1e-9)
    assert slopes[:, 0] == pytest.approx([1, -0.5, 0], abs=0.06)
    assert bias == pytest.approx(THRESHOLDS, abs=0.06)


def test_cumulative_logits_without_penalty_equal_statsmodels() -> None:
    features, labels = planted(300)
    expected = OrderedModel(labels, features, distr="logit").fit(method="bfgs", disp=False, gtol=1e-8)
    weights = fit_cumulative(features, labels, 4, even(labels), 1e-9)
    assert weights[0][:, 0] == pytest.approx(expected.params[:3], abs=1e-3)
    found = probabilities_of(weights, features, "cumulative")
    assert found == pytest.approx(expected.predict(features), abs=1e-3)


def test_the_gradient_of_cumulative_logits_is_that_of_finite_differences() -> None:
    features, labels = planted(60)
    weights = compute_sample_weight("balanced", labels)
    for seed in range(3):
        at = np.concatenate([np.random.default_rng(seed).normal(size=4), [0.4, 1.7]])
        of = features, labels, weights, 0.3
        expected = approx_fprime(at, lambda values, of=of: _loss_and_gradient(values, *of)[0], 1e-7)
        assert _loss_and_gradient(at, *of)[1] == pytest.approx(expected, abs=1e-5)


@every_output
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_a_fit_is_the_minimum_of_the_weighted_penalised_log_loss(output: str, strength: float) -> None:
    """Another optimiser that starts at the fit finds nothing lower."""
    features, labels = planted(80)
    weights = compute_sample_weight("balanced", labels)
    kernel, bias = SOLVERS[output](features, labels, 4, weights, strength)

    def loss(values: np.ndarray) -> float:
        slopes, cuts = values[: kernel.size].reshape(kernel.shape), values[kernel.size :]
        of_truth = OUTPUTS[output](features @ slopes + cuts)[np.arange(80), labels]
        with np.errstate(invalid="ignore"):
            value = -(weights * np.log(of_truth)).mean() + strength / 2 * (slopes**2).sum()
        return value if np.isfinite(value) else np.inf

    start = np.concatenate([kernel.ravel(), bias])
    best = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "maxfev": 4000})
    assert loss(start) == pytest.approx(best.fun, abs=2e-6)
    pushed = loss(start + 0.05 * np.random.default_rng(7).normal(size=start.size))
    assert pushed > loss(start)


def test_corn_is_a_logistic_regression_for_each_grade_among_images_that_reach_it() -> None:
    features, labels = planted(300)
    kernel, bias = fit_corn(features, labels, 4, even(labels), 0.1)
    rows = labels >= 2
    expected = LogisticRegression(C=10 / 300, tol=1e-8).fit(features[rows], labels[rows] > 2)
    assert kernel[:, 2] == pytest.approx(expected.coef_[0], abs=1e-3)
    assert bias[2] == pytest.approx(expected.intercept_[0], abs=1e-3)


@every_output
@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_a_grade_without_training_images_is_not_predicted(output: str, missing: int) -> None:
    features, labels = planted(200)
    rows = labels != missing
    weights = SOLVERS[output](features[rows], labels[rows], 4, even(labels[rows]), 0.1)
    answers = probabilities_of(weights, features, output)
    assert answers.sum(axis=1) == pytest.approx(1)
    assert answers[:, missing].max() < 1e-6
    assert answers.argmax(axis=1).max() > 0


@every_output
def test_a_training_split_of_one_grade_predicts_that_grade(output: str) -> None:
    features, labels = planted(50)
    for grade in range(4):
        only = np.full(len(labels), grade)
        weights = SOLVERS[output](features, only, 4, even(labels), 0.1)
        assert probabilities_of(weights, features, output)[:, grade] == pytest.approx(1)


@every_output
def test_more_features_than_images_are_solved_as_their_span(output: str) -> None:
    rng = np.random.default_rng(7)
    features, labels = rng.normal(size=(40, 200)), np.arange(40) % 4
    features[:, 0] += 2 * labels
    data = Labelled(features, np.eye(4)[labels])
    (spanned,) = fit_strengths(data, data, 4, "balanced", [1.0], output)
    whole = SOLVERS[output](features, labels, 4, compute_sample_weight("balanced", labels), 1.0)
    found = probabilities_of(spanned.weights, features, output)
    assert found == pytest.approx(probabilities_of(whole, features, output), abs=2e-3)


@every_output
def test_few_graded_images_teach_an_ordinal_output_more_than_a_softmax(output: str) -> None:
    """Where the grades are cuts of one latent variable, the mean error in grades falls, over 20 samples of 40 images."""
    errors: dict[str, list[float]] = {"softmax": [], output: []}
    unseen, truth = planted_in_many(2000, seed=999)
    for seed in range(20):
        features, labels = planted_in_many(60, seed)
        train, val = (Labelled(features[part], np.eye(5)[labels[part]]) for part in (slice(40), slice(40, None)))
        for kind, found in errors.items():
            best = best_of(fit_strengths(train, val, 5, "balanced", output=kind))
            answers = probabilities_of(best.weights, unseen, kind).argmax(axis=1)
            found.append(np.abs(answers - truth).mean())
    gains = np.subtract(errors["softmax"], errors[output])
    assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains))


def planted_in_many(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (images, 12), three of which tell five grades, and the grades."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, 12))
    latent = features[:, :3] @ [1.5, -1.0, 1.0] + rng.logistic(scale=0.6, size=images)
    return features, np.digitize(latent, [-2.0, -0.7, 0.7, 2.0])


# Prior


@every_output
def test_balanced_weights_teach_equal_shares_and_the_correction_returns_those_of_training(output: str) -> None:
    """Weights count an image by its own class; weights of each binary question would teach 1/2, 1/4, 1/4."""
    labels = np.repeat([0, 1, 2], [70, 20, 10])
    data = Labelled(np.zeros((100, 2)), np.eye(3)[labels])
    (fitted,) = fit_strengths(data, data, 3, "balanced", [1.0], output)
    answers = probabilities_of(fitted.weights, data.features, output)
    assert answers == pytest.approx(1 / 3, abs=1e-4)
    names = ["none", "some", "much"]
    rows = pd.DataFrame({"repeat": 1, "fold": 1, "split": "train", "label": np.array(names)[labels]})
    assert corrected(rows, answers, names, "uniform") == pytest.approx(
        np.broadcast_to([0.7, 0.2, 0.1], (100, 3)), abs=1e-4
    )


@every_output
def test_the_corrected_log_loss_of_a_weighted_fit_is_that_of_an_unweighted_one(output: str) -> None:
    features, labels = planted(8000)
    names = [str(grade) for grade in range(4)]
    split = np.repeat(["train", "val"], 4000)
    rows = pd.DataFrame({"repeat": 1, "fold": 1, "split": split, "label": labels.astype(str)})
    parts = [Labelled(features[split == part], np.eye(4)[labels[split == part]]) for part in ("train", "val")]
    losses = {}
    for weights in ("balanced", None):
        (fitted,) = fit_strengths(*parts, 4, weights, [1e-6], output)
        answers = probabilities_of(fitted.weights, features, output)
        for learned in ("train", "uniform") if weights else ("train",):
            of_truth = corrected(rows, answers, names, learned)[np.arange(8000), labels]
            losses[weights, learned] = -np.log(of_truth[4000:]).mean()
    assert losses["balanced", "uniform"] == pytest.approx(losses[None, "train"], abs=0.01)
    assert losses["balanced", "train"] > losses[None, "train"] + 0.03


# Refusals

REFUSED = {
    "no order": (4, False, "an output for classes without an order.*dataset.ordered=true"),
    "no order, classes not read yet": (None, False, "without an order"),
    "two classes": (2, True, "an output for 2 classes.*three or more ordered classes'?; set train.output=softmax"),
}


@every_output
@pytest.mark.parametrize(("classes", "ordered", "message"), REFUSED.values(), ids=REFUSED)
def test_an_ordinal_output_needs_three_ordered_classes(
    output: str, classes: int | None, ordered: bool, message: str
) -> None:
    with pytest.raises(BonexrayError, match=rf"train\.output: expected .*{message}") as refusal:
        require_output(output, classes, ordered=ordered)
    assert "\n" not in str(refusal.value)
    require_output(output, 3, ordered=True)
    require_output("softmax", classes, ordered=ordered)
