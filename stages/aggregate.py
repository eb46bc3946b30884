"""Put the study's models beside each other: ensembles, every pair, ranks, and one model chosen by validation."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from bonexray.config import Settings
from bonexray.data.arrays import IMAGES, ArrayFile
from bonexray.data.manifest import read_classes, read_leak_suspect
from bonexray.data.predictions import PREDICTIONS, read_predictions
from bonexray.evaluation.comparison import not_distinguishable
from bonexray.evaluation.evaluate import evaluate
from bonexray.evaluation.panel import PREFIX, Panel, ensemble, pairs_of, panel_of, ranks_of
from bonexray.models.published import starts_from
from bonexray.outputs import HEADLINE, read_json, whole_file, whole_folder, write_json
from bonexray.reporting.figures.one_model import draw_evaluation
from bonexray.reporting.figures.study import draw_study
from bonexray.reporting.tables import (
    COMPARISON,
    DATA,
    MODELS,
    PAIRS,
    RANKS,
    best_on_test,
    chosen_on_validation,
    comparison_table,
    headline_of,
    title_of,
)
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")


def main(settings: Settings) -> None:
    """Write metrics/{models,headline,ensembles,ranks}.json, comparison.csv, pairs.csv, and the figures of the panel."""
    classes = read_classes()
    folders = {name: Path(settings.trained[name]) for name in settings.models}
    panel = panel_of({name: read_predictions(folder / PREDICTIONS, classes) for name, folder in folders.items()})
    scores = {name: read_json(settings.evaluated[name]) for name in settings.models}
    chosen = chosen_on_validation(scores)  # ensembles were fitted on validation: what they score there is no test
    members = list(panel.probabilities)
    made = made_of(panel, settings, classes)
    panel = panel.with_members({name: probabilities for name, (probabilities, _) in made.items()})
    scores |= evaluated(panel, list(made), settings, classes)
    pairs, ranks = pairs_of(panel, classes, settings.evaluate), ranks_of(panel, classes)
    confusions = {name: scores[name].pop("confusion") for name in scores}
    best = best_on_test(scores)
    alike = not_distinguishable(pairs, best)
    starts = {name: starts_from(name, settings.weights) for name in settings.models}
    table = comparison_table(scores, starts, [best, *alike])
    write_json(MODELS, scores)
    ensembles = {name: {"members": members, "fitted": fitted} for name, (_, fitted) in made.items()}
    write_json("metrics/ensembles.json", ensembles)
    write_json(RANKS, asdict(ranks) if ranks else {"blocks": 1})
    write_table(table, COMPARISON)
    write_table(pairs, PAIRS)
    headline = headline_of(chosen, scores, settings.dataset.name, best, alike, read_json(DATA))
    trainings = {part + "s": int(panel.rows[part].max()) for part in ("repeat", "fold")}
    of_all = {"confidence": settings.evaluate.confidence, "models": len(settings.models), **trainings}
    write_json(HEADLINE, {**headline, **of_all})
    histories = {name: pd.read_csv(folder / "history.csv") for name, folder in folders.items()}
    with whole_folder("reports/comparison") as folder:
        draw_study(table, confusions, pairs, ranks, histories, chosen, folder)
    log.info(
        "chosen on validation: %s; highest on test: %s; not told from it: %s", chosen, best, ", ".join(alike) or "none"
    )


def made_of(panel: Panel, settings: Settings, classes: list[str]) -> dict[str, tuple[np.ndarray, dict]]:
    """Each ensemble's probabilities and what was fitted for it; one model makes none."""
    kinds = settings.aggregate.ensembles if len(panel.probabilities) > 1 else []
    return {f"{PREFIX}{kind}": ensemble(kind, panel, classes) for kind in kinds}


def evaluated(panel: Panel, names: list[str], settings: Settings, classes: list[str]) -> dict[str, dict]:
    """Ensembles' scores but those on validation, on which they were fitted; their figures go to reports/ensembles/."""
    scores = {}
    with whole_folder("reports/ensembles") as folder:
        for name in names:
            probabilities = panel.probabilities[name]
            found = evaluate(panel.rows, probabilities, classes, settings.evaluate, settings.dataset.ordered)
            seen = {key: value for key, value in found.scores.items() if not key.startswith("val_")}
            scores[name] = {**seen, "leak_suspect": read_leak_suspect()}
            (folder / name).mkdir()
            draw_evaluation(
                found, name, title_of(name), classes, settings.evaluate.confidence, ArrayFile(IMAGES), folder / name
            )
    return scores


def write_table(table: pd.DataFrame, target: Path) -> None:
    """Write a CSV whole or not at all."""
    with whole_file(target) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")


if __name__ == "__main__":
    run_stage(main)
