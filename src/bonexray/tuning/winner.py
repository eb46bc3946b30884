"""Results of a search: a file of settings for `dvc exp run`, and a table of trials."""

import io
import math
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from ruamel.yaml import YAML

from bonexray.base.files import atomic_file
from bonexray.composition import compose
from bonexray.study import Settings, load_settings
from bonexray.tuning.space import SPACE, Value
from bonexray.tuning.trials import FINISHED, PRUNED, Trial, best_of

SHOWN = 5  # trials in the table, besides the study's own settings
READ = (
    "dataset",
    "phantom",
    "split",
    "audit",
    "denoise",
    "prepare",
    "weights",
    "features",
    "augment",
    "train",
    "fine_tune",
)
HEAD = """\
# @package _global_
# {command}
# Written by `bonexray tune`: the lowest validation log loss of {trials} trials, {pruned} of them stopped early.
# On validation: log loss {score:.4f}, accuracy {accuracy:.3f} (trial {number}); the study's own settings: {present}.
# Validation chose these settings, so their validation scores are optimistic. The command above evaluates on the test set.
"""


def override_of(model: str) -> Path:
    """Return the file of a model's best settings."""
    return Path(f"conf/tuned/{model}.yaml")


def command_of(model: str) -> str:
    """Return the command that trains a model with its best settings."""
    return f"dvc exp run -S model={model} -S +tuned={model}"


def write_override(model: str, trials: list[Trial]) -> Path:
    """Write the best trial's settings as a Hydra override, with a comment on their origin, and return the file.

    Args:
        model: name of the model.
        trials: all trials that have ended, that of the study's own settings first.
    """
    best = best_of(trials)
    head = HEAD.format(
        command=command_of(model),
        number=best.number,
        trials=len(trials),
        score=best.score,
        present=_score(trials[0]),
        pruned=sum(trial.state == PRUNED for trial in trials),
        accuracy=best.best["val_accuracy"],
    )
    sections: dict[str, dict[str, Value]] = {}
    for setting, value in best.changes.items():
        section, key = setting.split(".")
        sections.setdefault(section, {})[key] = value
    body = io.StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False
    yaml.dump(sections, body)
    with atomic_file(override_of(model)) as partial:
        partial.write_text(head + body.getvalue(), encoding="utf-8")
    return override_of(model)


def differences(settings: Settings, model: str) -> list[str]:
    """Return the settings of the search that `command_of` would not compose from conf/.

    Args:
        settings: settings of the study, from params.yaml.
        model: name of the model, whose best settings have been written.

    Returns:
        Full names of settings; none if there is no conf/config.yaml.
    """
    if not Path("conf/config.yaml").is_file():
        return []
    with TemporaryDirectory() as folder:
        file, overrides = Path(folder) / "params.yaml", [f"model={model}", f"+tuned={model}"]
        compose(file, Path("conf"), overrides)
        composed = load_settings(file)
    ignored = {dimension.setting for dimension in SPACE}
    ours, others = settings.model_dump(include={*READ}), composed.model_dump(include={*READ})
    pairs = ((section, key) for section, values in ours.items() for key in values)
    changed = [".".join(pair) for pair in pairs if ours[pair[0]][pair[1]] != others[pair[0]][pair[1]]]
    if settings.models[model].mode != composed.models[model].mode:
        changed.append(f"modes.{model}" if model in settings.modes else "mode")
    return [setting for setting in changed if setting not in ignored]


def trials_table(trials: list[Trial]) -> Table:
    """Return a table of the best trials and of trial 0, which has the study's own settings.

    Args:
        trials: all trials that have ended, that of the study's own settings first.
    """
    ranked = sorted(trials, key=lambda trial: (trial.state == PRUNED, trial.score, trial.number))
    shown = ranked[:SHOWN] + [trial for trial in ranked[SHOWN:] if trial.number == 0]
    table = Table(title="Trials by validation log loss")
    for column in ("trial", "val log loss", "val accuracy", "epochs"):
        table.add_column(column, justify="right")
    settings = list(dict.fromkeys(setting for trial in shown for setting in trial.changes))
    for setting in settings:
        table.add_column(setting, justify="right")
    for trial in shown:
        accuracy = f"{trial.best['val_accuracy']:.3f}" if trial.history else ""
        name = f"{trial.number}{' (present)' if trial.number == 0 else ''}"
        epochs = f"{len(trial.history)}{', stopped' if trial.state == PRUNED else ''}"
        values = (str(trial.changes.get(setting, "")) for setting in settings)
        table.add_row(name, f"{trial.score:.4f}", accuracy, epochs, *values)
    return table


def improvement(trial: Trial, earlier: list[Trial]) -> str | None:
    """Describe a trial in one line if it is better than all earlier ones, else return None."""
    before = min((other.score for other in earlier if other.state == FINISHED), default=math.inf)
    if trial.state != FINISHED or trial.score >= before:
        return None
    previous = f" (before {before:.4f})" if math.isfinite(before) else ""
    settings = ", ".join(f"{setting}={value}" for setting, value in trial.changes.items())
    return f"trial {trial.number}: validation log loss {trial.score:.4f}{previous}: {settings}"


def _score(trial: Trial) -> str:
    if not trial.history:
        return "not finite"
    return f"log loss {trial.score:.4f}, accuracy {trial.best['val_accuracy']:.3f}"
