"""Commands that set up and run a study: check, use, repro, registry, tune."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bonexray.base.errors import BonexrayError
from bonexray.cli.application import app

PANEL = "Run a study"


@app.command(rich_help_panel=PANEL)
def check() -> None:
    """Check settings, dataset, image sizes and weights files; print the dataset as understood, and one line per problem."""
    from bonexray.check import inspect
    from bonexray.kept_settings import KEPT, difference_line, differing_settings, kept

    inspection = inspect()
    for line in inspection.lines:
        typer.echo(line)
    if settings := kept():
        typer.echo(f"kept in {KEPT}: {', '.join(settings)}")
    if not inspection.findings and (differing := differing_settings()):
        typer.echo(difference_line(differing))
    for finding in inspection.findings:
        typer.echo(str(finding), err=True)
    if inspection.findings:
        raise typer.Exit(1)
    typer.echo("check: no problems in settings, dataset, models and weights")


@app.command(rich_help_panel=PANEL)
def use(
    settings: Annotated[
        list[str] | None, typer.Argument(help="what to keep, as for `dvc exp run -S`; without any, print what is kept")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="name of a setting to keep no longer")] = None,
) -> None:
    """Keep settings for every later `dvc repro` and `dvc exp run`, in conf/local/study.yaml: dataset=folder train.epochs=4."""
    from bonexray.kept_settings import KEPT, keep

    kept = keep(settings or [], drop or [])
    typer.echo(f"use: {KEPT} keeps {', '.join(kept) or 'nothing'}; params.yaml is composed from conf/")


@app.command(rich_help_panel=PANEL)
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="names of stages; by default the whole study")] = None,
) -> None:
    """Run `dvc repro` with one progress bar and its output in logs/repro/; pull what a default remote has."""
    from bonexray.repro.run import reproduce

    try:
        reproduce(targets or [], lambda line: typer.echo(f"repro: {line}"))
    except KeyboardInterrupt:
        typer.echo("repro: interrupted; the same command continues after the last finished stage", err=True)
        raise typer.Exit(130) from None


@app.command(rich_help_panel=PANEL)
def registry(
    names: Annotated[
        bool, typer.Option("--list", help="print the names of the models, one per line, and write nothing")
    ] = False,
) -> None:
    """Regenerate params.yaml, dvc.yaml and docs/models.md from the table of models."""
    from bonexray.base.config import PARAMS
    from bonexray.composition import compose
    from bonexray.registry import MODEL_NAMES
    from bonexray.registry_files import registry_files

    if names:
        typer.echo("\n".join(MODEL_NAMES))
        return
    if not Path("dvc.yaml").is_file():
        do = "run this from the repository's root"
        raise BonexrayError("dvc.yaml", expected="a checkout of bonexray", received="no such file", do=do)
    files = registry_files(Path.cwd())
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    compose(PARAMS, Path("conf"))
    typer.echo(f"registry: wrote {PARAMS}, {', '.join(path.relative_to(Path.cwd()).as_posix() for path in files)}")


@app.command(rich_help_panel=PANEL)
def tune(
    model: Annotated[str, typer.Option(help="name of a model of this study")],
    trials: Annotated[int, typer.Option(help="total number of trials, including those of an interrupted search")] = 30,
) -> None:
    """Search for a model's best settings on validation; write them to conf/tuned/ for `dvc exp run`."""
    if trials < 1:
        raise BonexrayError("--trials", expected="at least 1", received=trials, do="correct the number")
    try:
        _tune(model, trials)
    except KeyboardInterrupt:
        typer.echo("tune: interrupted; run the same command to continue after the last finished trial", err=True)
        raise typer.Exit(130) from None


def _tune(model: str, trials: int) -> None:
    from importlib.util import find_spec

    from rich.console import Console

    if find_spec("optuna") is None:
        raise BonexrayError(
            "bonexray tune", expected="Optuna", received="it is not installed", do="pip install 'bonexray[tune]'"
        )
    from bonexray.check import require_sound_settings
    from bonexray.progress import progress
    from bonexray.study import load_settings
    from bonexray.tracking.search import search_run
    from bonexray.tuning.search import open_search
    from bonexray.tuning.winner import command_of, differences, improvement, trials_table, write_override

    settings = load_settings()
    require_sound_settings(settings)
    with open_search(settings, model) as search, search_run(settings, model, search.fingerprint) as record:
        for note in search.notes:
            typer.echo(f"tune: {note}")
        finished = search.trials
        if finished:
            typer.echo(f"tune: continuing after {len(finished)} trials, up to {max(trials, len(finished))}")
        for trial in finished:
            record.trial(trial)
        for trial in progress(search.run(trials), f"tuning {model}", max(trials - len(finished), 0)):
            record.trial(trial)
            if better := improvement(trial, finished):
                typer.echo(f"tune: {better}")
            finished.append(trial)
        path = write_override(model, finished)
        record.winner(finished, path)
    Console(width=None if sys.stdout.isatty() else 140).print(trials_table(finished))
    if others := differences(settings, model):
        typer.echo(f"tune: params.yaml differs from conf/ in {', '.join(others)}: repeat these with -S", err=True)
    typer.echo(f"tune: wrote {path}; to train and test with it: {command_of(model)}")
