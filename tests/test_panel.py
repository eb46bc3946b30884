"""The panel of models: ensembles, pairs and ranks."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score
from trainings import UNSORTED, predictions_of_trainings

from bonexray.aggregate.choice import choice_against, chosen_by_fold, predictions_of_choice
from bonexray.aggregate.comparison import differences_from
from bonexray.aggregate.ensembles import ENSEMBLES
from bonexray.aggregate.friedman import compare_ranks
from bonexray.aggregate.panel import Panel, ensemble, pairs_of, panel_of, ranks_of
from bonexray.base.errors import BonexrayError
from bonexray.evaluate.choice import chosen_on_validation
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.settings import Evaluate

SETTINGS = Evaluate(resamples=200, confidence=0.95, seed=7)


def panel(folds: int = 3, repeats: int = 1, models: int = 3) -> Panel:
    return panel_of({f"model_{n}": predictions_of_trainings(folds, repeats, seed=n) for n in range(models)})


def with_labels(given: Panel, split: str) -> Panel:
    """Return the panel with every label of a split replaced."""
    labels = np.where(given.rows["split"] == split, "normal", given.rows["label"])
    return Panel(given.rows.assign(label=labels), given.probabilities)


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_ensembles_are_fitted_on_validation_only(kind: str) -> None:
    found, fitted = ensemble(kind, panel(), UNSORTED)
    for split in ("test", "train"):
        relabelled, again = ensemble(kind, with_labels(panel(), split), UNSORTED)
        assert again == fitted
        assert (relabelled == found).all()
    changed, _ = ensemble(kind, with_labels(panel(), "val"), UNSORTED)
    assert (changed == found).all() == (kind in ("mean", "majority"))


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_ensembles_predict_every_row_and_are_fitted_for_each_training(kind: str) -> None:
    given = panel(folds=3, repeats=2)
    found, fitted = ensemble(kind, given, UNSORTED)
    assert found.shape == (len(given.rows), 3)
    assert found.sum(axis=1) == pytest.approx(1)
    assert list(fitted) == [f"repeat {r}, fold {f}" for r in (1, 2) for f in (1, 2, 3)]


@pytest.mark.parametrize("kind", ["weighted", "stacking"])
def test_a_validation_image_is_predicted_without_its_patient(kind: str) -> None:
    given = Panel(*_first(panel()))
    found, _ = ensemble(kind, given, UNSORTED)
    val = (given.rows["split"] == "val").to_numpy()
    mine = val & (given.rows["group"] == given.rows.loc[val, "group"].iloc[0]).to_numpy()
    other = next(name for name in UNSORTED if name not in set(given.rows.loc[mine, "label"]))
    relabelled = Panel(given.rows.assign(label=given.rows["label"].mask(mine, other)), given.probabilities)
    again, _ = ensemble(kind, relabelled, UNSORTED)
    assert again[mine] == pytest.approx(found[mine])
    assert again[val & ~mine] != pytest.approx(found[val & ~mine])


def test_mean_averages_the_members() -> None:
    given = panel()
    found, _ = ensemble("mean", given, UNSORTED)
    assert found == pytest.approx(np.mean(list(given.probabilities.values()), axis=0))


def test_predictions_for_different_images_are_refused() -> None:
    one, other = predictions_of_trainings(3, 1), predictions_of_trainings(4, 1)
    with pytest.raises(BonexrayError, match="the predictions of other: expected the images and splits of one"):
        panel_of({"one": one, "other": other})
    moved = one[0].assign(split=one[0]["split"].to_numpy()[::-1])
    with pytest.raises(BonexrayError, match="received different ones"):
        panel_of({"one": one, "other": (moved, one[1])})


def test_pairs_are_compared_on_the_test_images_of_all_folds() -> None:
    given = panel()
    pairs = pairs_of(given, UNSORTED, SETTINGS)
    assert len(pairs) == 3
    relabelled = with_labels(given, "train")
    pd.testing.assert_frame_equal(pairs_of(relabelled, UNSORTED, SETTINGS), pairs)


def test_ranks_need_several_folds() -> None:
    assert ranks_of(panel(folds=3, repeats=2), UNSORTED).blocks == 3
    assert ranks_of(Panel(*(_first(panel()))), UNSORTED) is None


def test_repeats_of_one_split_make_no_ranks() -> None:
    assert ranks_of(Panel(*_first(panel(repeats=4))), UNSORTED) is None


def test_the_choice_of_folds_is_not_optimistic_where_validation_is_test() -> None:
    rows, _ = predictions_of_trainings(5, 1)
    rng, images = np.random.default_rng(1), rows["id"].nunique()
    answers = {f"m{n}": np.tile(rng.dirichlet(np.ones(3), images), (5, 1)) for n in range(40)}  # know nothing
    given = Panel(rows, answers)  # a model answers an image alike in every fold
    scores = {name: evaluate(rows, p, UNSORTED, SETTINGS, False, "train").scores for name, p in answers.items()}
    best = scores[chosen_on_validation(scores)]["balanced_accuracy"]
    chosen = chosen_by_fold(given, UNSORTED)
    honest = evaluate(rows, predictions_of_choice(given, chosen), UNSORTED, SETTINGS, False, "train").scores
    assert len(set(chosen.values())) > 1
    assert best > 0.45 and honest["balanced_accuracy"] < 0.4
    assert honest["balanced_accuracy_low"] < 1 / 3 < honest["balanced_accuracy_high"]


def test_a_fold_chooses_on_its_own_validation_images() -> None:
    given = panel(folds=3, repeats=2)
    chosen = chosen_by_fold(given, UNSORTED)
    for fold in (1, 2, 3):
        mine = (given.rows["fold"] == fold) & (given.rows["split"] == "val")
        others = given.rows["label"].where(mine, given.rows["label"].to_numpy()[::-1])
        assert (
            chosen_by_fold(Panel(given.rows.assign(label=others), given.probabilities), UNSORTED)[fold] == chosen[fold]
        )
    answers = predictions_of_choice(given, chosen)
    for fold, name in chosen.items():
        rows = (given.rows["fold"] == fold).to_numpy()
        assert (answers[rows] == given.probabilities[name][rows]).all()


def test_the_choice_of_folds_is_compared_with_a_baseline_as_one_model() -> None:
    given = panel(folds=3, repeats=2)
    chosen = chosen_by_fold(given.only(["model_0", "model_1"]), UNSORTED)
    answers = predictions_of_choice(given, chosen)
    above = choice_against("model_2", given, answers, UNSORTED, SETTINGS)["above_baseline"]
    mine, other = (
        evaluate(given.rows, p, UNSORTED, SETTINGS, False, "train").scores["balanced_accuracy"]
        for p in (answers, given.probabilities["model_2"])
    )
    assert above == pytest.approx(mine - other)
    alone = choice_against("model_2", given, given.probabilities["model_0"], UNSORTED, SETTINGS)
    pairs = pairs_of(given.only(["model_2", "model_0"]), UNSORTED, SETTINGS)
    assert alone == differences_from(pairs, "model_2")["model_0"]


def test_pairs_ranks_and_choices_are_of_means_over_repeats() -> None:
    given = panel(folds=3, repeats=4)
    means = {
        name: pd.Series(
            {
                fold: np.mean(
                    [
                        recall_score(rows["label"], np.array(UNSORTED)[p[rows.index].argmax(axis=1)], average="macro")
                        for _, rows in of_fold[of_fold["split"] == "test"].groupby("repeat")
                    ]
                )
                for fold, of_fold in given.rows.groupby("fold")
            }
        )
        for name, p in given.probabilities.items()
    }
    assert ranks_of(given, UNSORTED) == compare_ranks(pd.DataFrame(means))
    pair = pairs_of(given, UNSORTED, SETTINGS).set_index(["one", "other"]).loc[("model_0", "model_1")]
    one, other = (
        evaluate(given.rows, given.probabilities[name], UNSORTED, SETTINGS, False, "train").scores["balanced_accuracy"]
        for name in ("model_0", "model_1")
    )
    assert abs(pair["difference"]) == pytest.approx(abs(one - other))
    first = (given.rows["repeat"] == 1).to_numpy()
    truth = np.eye(3)[given.rows["label"].map(UNSORTED.index)]
    lucky = np.where(first[:, None], truth, 1 - truth) * 0.9 + 0.05  # right in the first repeat alone
    chosen = chosen_by_fold(given.with_members({"lucky": lucky / lucky.sum(axis=1, keepdims=True)}), UNSORTED)
    assert "lucky" not in chosen.values()


def _first(given: Panel) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    mine = (given.rows["fold"] == 1).to_numpy()
    return given.rows[mine].reset_index(drop=True), {name: p[mine] for name, p in given.probabilities.items()}
