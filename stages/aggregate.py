"""Compare the models of the study, fit ensembles of them, and choose one model on validation."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.aggregate.ceiling import CEILING, ceiling_scores, read_truth
from bonexray.aggregate.choice import CHOICE, choice_against, chosen_by_fold, predictions_of_choice
from bonexray.aggregate.comparison import differences_from, not_distinguishable
from bonexray.aggregate.ensembles import learned_by
from bonexray.aggregate.panel import Panel, ensemble, pairs_of, panel_of, ranks_of
from bonexray.aggregate.power import power_of
from bonexray.aggregate.settings import Aggregate
from bonexray.aggregate.table import (
    against_baseline,
    best_on_test,
    comparison_table,
    headline_of,
    summary_of,
    title_of,
)
from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_file, atomic_folder, read_json, write_json
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes, read_leak_suspect
from bonexray.data.paths import (
    COMPARISON,
    COMPARISON_REPORTS,
    DATA,
    ENSEMBLE_REPORTS,
    ENSEMBLES,
    EVALUATED,
    HEADLINE,
    HISTORY,
    IMAGES,
    MODEL_CARD,
    MODELS,
    PAIRS,
    PREDICTIONS,
    RANKS,
    SCORES,
)
from bonexray.data.predictions import read_predictions
from bonexray.data.scores import PREFIX
from bonexray.dataset.settings import Dataset
from bonexray.evaluate.abstention import accuracy_by_answered
from bonexray.evaluate.bootstrap import draw
from bonexray.evaluate.choice import candidates_of, chosen_on_validation
from bonexray.evaluate.evaluation import evaluate
from bonexray.evaluate.prior import Learned, learned_prior
from bonexray.evaluate.settings import Evaluate, require_classes
from bonexray.evaluate.split_predictions import predictions_in
from bonexray.figures.comparison.study import draw_prediction_sets, draw_study
from bonexray.figures.model.evaluation import draw_evaluation
from bonexray.registry import BASELINES
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    evaluate: Evaluate
    aggregate: Aggregate
    dataset: Dataset


def main(settings: Settings) -> None:
    """Write metrics/{headline,scores,ensembles,ranks}.json, comparison.csv, pairs.csv, and the figures of the panel."""
    classes, scores = read_classes(), read_json(MODELS)
    require_classes(settings.evaluate, classes, settings.dataset.ordered)
    folders = {name: EVALUATED / name for name in scores}
    cards = {name: read_json(folder / MODEL_CARD) for name, folder in folders.items()}
    panel = panel_of({name: read_predictions(folder / PREDICTIONS, classes) for name, folder in folders.items()})
    baselines = {name: scores[name] for name in scores if name in BASELINES}
    networks = {name: scores[name] for name in scores if name not in BASELINES}
    candidates = candidates_of(scores)
    chosen = chosen_on_validation(candidates)  # before ensembles join: they are fitted on validation
    models, members = panel.only(candidates), list(networks)
    ensembles = fitted_ensembles(panel.only(networks), settings, classes)
    panel = panel.with_members({name: probabilities for name, (probabilities, _) in ensembles.items()})
    ensemble_scores = evaluate_ensembles(panel, list(ensembles), settings, classes, learned_prior(cards))
    scores |= ensemble_scores
    judged = panel.in_unit(settings.evaluate.unit)
    pairs = pairs_of(judged, classes, settings.evaluate, settings.dataset.ordered)
    ranks = ranks_of(judged, classes)
    best = best_on_test(scores)
    alike = not_distinguishable(pairs, best)
    starts = {name: card["starts_from"] for name, card in cards.items()}
    baseline = chosen_on_validation(baselines)
    above = differences_from(pairs, baseline)
    table = comparison_table(scores, starts, [best, *alike], above)
    write_json(
        ENSEMBLES,
        {
            name: {"members": members, "fitted": fitted, "scores": without_confusion(ensemble_scores[name])}
            for name, (_, fitted) in ensembles.items()
        },
    )
    write_json(RANKS, asdict(ranks) if ranks else {"blocks": 1})
    write_table(table, COMPARISON)
    write_table(pairs, PAIRS)
    by_fold = chosen_of_folds(models, settings, classes)
    reported = predictions_of_choice(models, by_fold) if by_fold else models.probabilities[chosen]
    answered, judged_against = scores[chosen], above.get(chosen, {})
    if by_fold:
        evaluation = evaluate(
            models.rows, reported, classes, settings.evaluate, settings.dataset.ordered, learned_prior(cards)
        )
        answered = {**evaluation.scores, "leak_suspect": read_leak_suspect()}
        judged_against = choice_against(baseline, panel, reported, classes, settings.evaluate)
    headline = headline_of(chosen, answered, settings.dataset.name, best, alike, read_json(DATA))
    trainings = {part + "s": int(panel.rows[part].max()) for part in ("repeat", "fold")}
    study = {"confidence": settings.evaluate.confidence, "models": len(networks), **trainings}
    ceiling = ceiling_of(models.rows, settings, classes)
    headline |= {
        **against_baseline(baseline, scores[baseline], judged_against),
        **ceiling,
        **({"chosen_by_fold": {str(fold): name for fold, name in by_fold.items()}} if by_fold else {}),
        **power_of(pairs, scores[best]["n_groups"]),
        **study,
    }
    write_json(HEADLINE, headline)
    write_json(SCORES, summary_of(headline, scores))
    histories = {name: pd.read_csv(folders[name] / HISTORY) for name in candidates}
    confusions = {name: model_scores["confusion"] for name, model_scores in scores.items()}
    with atomic_folder(COMPARISON_REPORTS) as folder:
        draw_prediction_sets(answered_by(reported, models, settings, classes), answered, classes, chosen, folder)
        draw_study(table, confusions, pairs, ranks, histories, chosen, folder, ceiling.get(CEILING))
    log.info("chosen on validation: %s; highest on test: %s", chosen, best)
    log.info("not distinguishable from %s: %s", best, ", ".join(alike) or "none")


def ceiling_of(rows: pd.DataFrame, settings: Settings, classes: list[str]) -> dict[str, float]:
    """Return the score of a simulated cohort's own truth, as `ceiling_scores`; nothing for fractures and real images."""
    if "cohort" not in settings.dataset.simulated:
        return {}
    truth = read_truth(Path(settings.dataset.simulated["cohort"]))
    return ceiling_scores(rows, truth, classes, settings.evaluate)


def answered_by(predictions: np.ndarray, models: Panel, settings: Settings, classes: list[str]) -> pd.DataFrame:
    """Return the accuracy by the share of test images answered, in the study's unit, of the first repeat."""
    judged = models.only([]).with_members({CHOICE: predictions}).in_unit(settings.evaluate.unit)
    test, options = predictions_in(judged.rows, judged.probabilities[CHOICE], classes, "test"), settings.evaluate
    draws = draw(test.groups, options.resamples, options.seed)
    return accuracy_by_answered(test.labels, test.probabilities, draws, options.confidence)


def chosen_of_folds(models: Panel, settings: Settings, classes: list[str]) -> dict[int, str]:
    """Return the model that each fold chose, see `chosen_by_fold`; nothing for one split."""
    if models.rows["fold"].max() == 1:
        return {}
    return chosen_by_fold(models.in_unit(settings.evaluate.unit), classes)


def fitted_ensembles(panel: Panel, settings: Settings, classes: list[str]) -> dict[str, tuple[np.ndarray, dict]]:
    """Return the probabilities and fitted parameters of each ensemble; none for a study of one model."""
    kinds = settings.aggregate.ensembles if len(panel.probabilities) > 1 else []
    return {f"{PREFIX}{kind}": ensemble(kind, panel, classes) for kind in kinds}


def evaluate_ensembles(
    panel: Panel, names: list[str], settings: Settings, classes: list[str], learned: Learned
) -> dict[str, dict[str, object]]:
    """Score the ensembles on test and draw their figures; they have no validation scores, being fitted on validation.

    `learned` is the prior that the members have learned.
    """
    scores = {}
    with atomic_folder(ENSEMBLE_REPORTS) as folder:
        for name in names:
            options = settings.evaluate
            answers, prior = panel.probabilities[name], learned_by(name.removeprefix(PREFIX), learned)
            evaluation = evaluate(panel.rows, answers, classes, options, settings.dataset.ordered, prior)
            on_test = {key: value for key, value in evaluation.scores.items() if not key.startswith("val_")}
            scores[name] = {**on_test, "leak_suspect": read_leak_suspect()}
            (folder / name).mkdir()
            images, title = ArrayFile(IMAGES), title_of(name)
            draw_evaluation(evaluation, name, title, classes, options.confidence, images, folder / name)
    return scores


def without_confusion(scores: dict[str, object]) -> dict[str, object]:
    """Return scores without the counts of the confusion matrix."""
    return {name: value for name, value in scores.items() if name != "confusion"}


def write_table(table: pd.DataFrame, target: Path) -> None:
    """Write a CSV whole or not at all."""
    with atomic_file(target) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")


if __name__ == "__main__":
    run_stage(main, Settings)
