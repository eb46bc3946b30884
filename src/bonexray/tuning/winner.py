"""What a search has found: a file for `dvc exp run`, and a table."""

import io
import math
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from ruamel.yaml import YAML

from bonexray.composition import compose
from bonexray.files import atomic_file
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
# Written by `bonexray tune`: the lowest validation loss in {trials} trials, {pruned} of them given up early.
# On validation: loss {score:.4f}, accuracy {accuracy:.3f} (trial {number}); the study's own settings: {present}.
# It was chosen on validation, so its scores there are optimistic. The run above looks at the test.
"""


def override_of(model: str) -> Path:
    """Where a model's winner is written."""
    return Path(f"conf/tuned/{model}.yaml")


def command_of(model: str) -> str:
    """What trains a model with its winner."""
    return f"dvc exp run -S model={model} -S +tuned={model}"


def write_override(model: str, trials: list[Trial]) -> Path:
    """Write the best trial's settings as a Hydra override, with a comment that says how they came about.

    Args:
        model: its name.
        trials: all that have ended, the study's own settings first.
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
    """Settings that are not as the search had them when `command_of` composes them anew from conf/.

    Args:
        settings: of the study, from params.yaml.
        model: its name; its winner is written.

    Returns:
        Their full names; none without a conf/config.yaml.
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
    """The best trials beside the study's own settings, which are trial 0.

    Args:
        trials: all that have ended, the study's own settings first.
    """
    ranked = sorted(trials, key=lambda trial: (trial.state == PRUNED, trial.score, trial.number))
    shown = ranked[:SHOWN] + [trial for trial in ranked[SHOWN:] if trial.number == 0]
    table = Table(title="Trials by validation loss")
    for column in ("trial", "val loss", "val accuracy", "epochs"):
        table.add_column(column, justify="right")
    settings = list(dict.fromkeys(setting for trial in shown for setting in trial.changes))
    for setting in settings:
        table.add_column(setting, justify="right")
    for trial in shown:
        accuracy = f"{trial.best['val_accuracy']:.3f}" if trial.history else ""
        name = f"{trial.number}{' (present)' if trial.number == 0 else ''}"
        epochs = f"{len(trial.history)}{', given up' if trial.state == PRUNED else ''}"
        values = (str(trial.changes.get(setting, "")) for setting in settings)
        table.add_row(name, f"{trial.score:.4f}", accuracy, epochs, *values)
    return table


def improvement(trial: Trial, earlier: list[Trial]) -> str | None:
    """A line on a trial that is better than all before it; None on another."""
    before = min((other.score for other in earlier if other.state == FINISHED), default=math.inf)
    if trial.state != FINISHED or trial.score >= before:
        return None
    known = f" (before {before:.4f})" if math.isfinite(before) else ""
    settings = ", ".join(f"{setting}={value}" for setting, value in trial.changes.items())
    return f"trial {trial.number}: validation loss {trial.score:.4f}{known}: {settings}"


def _score(trial: Trial) -> str:
    if not trial.history:
        return "no number"
    return f"loss {trial.score:.4f}, accuracy {trial.best['val_accuracy']:.3f}"
