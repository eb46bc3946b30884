"""Put the study's models beside each other, and choose one by validation."""

import logging

from bonexray import tracking
from bonexray.config import Settings
from bonexray.models.published import starts_from
from bonexray.models.registry import model_row
from bonexray.outputs import read_json, whole_file, whole_folder, write_json
from bonexray.reporting.confusion import confusion_grid
from bonexray.reporting.panel import evaluation_grid, model_comparison
from bonexray.reporting.tables import COMPARISON, DATA, HEADLINE, MODELS, chosen_on_validation, comparison_table
from bonexray.stage import run_stage

log = logging.getLogger("bonexray")
HEADLINES = (
    "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "accuracy", "accuracy_low", "accuracy_high",
    "macro_f1", "roc_auc", "baseline_accuracy", "baseline_balanced_accuracy", "collapsed", "n", "val_balanced_accuracy",
    "leak_suspect",
)  # fmt: skip


def main(settings: Settings) -> None:
    """Write metrics/models.json, headline.json and comparison.csv, and the figures in reports/comparison/."""
    scores = {name: read_json(settings.evaluated[name]) for name in settings.models}
    confusion = {model_row(name).title: scores[name].pop("confusion") for name in scores}
    table = comparison_table(scores, {name: starts_from(name, settings.weights) for name in scores})
    chosen = chosen_on_validation(scores)
    with whole_folder("reports/comparison") as folder:
        model_comparison(table, model_row(chosen).title, folder / "models_comparison.png")
        evaluation_grid(table, folder / "models_evaluation_grid.png")
        confusion_grid(confusion, folder / "models_confusion_grid.png")
    write_json(MODELS, scores)
    headline = {name: scores[chosen][name] for name in HEADLINES}
    headline["shortcut_balanced_accuracy"] = read_json(DATA)["shortcut_balanced_accuracy"]
    write_json(HEADLINE, {"model": chosen, "dataset": settings.dataset.name, "models": len(scores), **headline})
    with whole_file(COMPARISON) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    log.info("chosen on validation: %s", chosen)
    tracking.try_to_sync(settings)


if __name__ == "__main__":
    run_stage(main)
