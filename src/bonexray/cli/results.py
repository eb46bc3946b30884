"""Commands that show the results of a study: sync, ui, table, gate, grid."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bonexray.base.errors import BonexrayError
from bonexray.cli.application import app

PANEL = "Results of a study"


@app.command(rich_help_panel=PANEL)
def sync() -> None:
    """Create missing MLflow runs from the study's files; repeating it is safe."""
    from bonexray.study import load_settings
    from bonexray.tracking.store import tracking_uri, without_secret
    from bonexray.tracking.sync import sync as sync_runs

    settings = load_settings()
    added = sync_runs(settings)
    typer.echo(
        f"sync: added {', '.join(f'{count} {name}' for name, count in added.items())}; store: {without_secret(tracking_uri())}"
    )
    if "champions" in added:
        from bonexray.tracking.registered import champion_line

        typer.echo(f"sync: {champion_line(settings)}")


@app.command(rich_help_panel=PANEL)
def ui() -> None:
    """Open MLflow's page at a comparison of this study's models; print its address."""
    from bonexray.study import load_settings
    from bonexray.tracking.sync import sync as sync_runs
    from bonexray.tracking.ui import serve

    settings = load_settings()
    sync_runs(settings)
    try:
        serve(settings, lambda line: typer.echo(f"ui: {line}"))
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command(rich_help_panel=PANEL)
def table(
    into: Annotated[Path | None, typer.Option(help="Markdown file to update between its markers")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="number of best models to show, besides the chosen one")
    ] = None,
) -> None:
    """Print the ranked table of models from metrics/."""
    import pandas as pd
    from rich.console import Console

    from bonexray.base.files import read_json
    from bonexray.data.paths import COMPARISON, DENOISE, HEADLINE
    from bonexray.experiment.results import REPORT
    from bonexray.results import tables
    from bonexray.results.markdown import with_section

    if not COMPARISON.exists():
        raise BonexrayError(str(COMPARISON), expected="a finished study", received="no such file", do="run `dvc repro`")
    comparison, headline = pd.read_csv(COMPARISON), read_json(HEADLINE)
    if into:
        results = tables.markdown_table(comparison, headline, read_json(DENOISE), top)
        into.write_text(with_section(into.read_text(encoding="utf-8"), "results", results), encoding="utf-8")
        return
    Console(width=None if sys.stdout.isatty() else 140).print(tables.terminal_table(comparison, headline, top))
    typer.echo(f"{tables.comparison_sentence(comparison)}\nreport: {REPORT}   runs in MLflow: `make ui`")


@app.command(rich_help_panel=PANEL)
def gate(
    against: Annotated[str, typer.Option(help="commit, branch or tag to compare with")],
    tolerance: Annotated[
        float | None, typer.Option(help="largest accepted drop of the balanced accuracy, such as 0.02")
    ] = None,
) -> None:
    """Compare the scores with those of a revision, in Markdown; exit with 1 if they are worse."""
    from bonexray.results.gate import gate_page, judge
    from bonexray.results.revisions import results_at, results_here

    current, base = results_here(), results_at(against)
    verdict = judge(current, base, tolerance)
    typer.echo(gate_page(current, base, verdict))
    if verdict.failures:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
def grid(
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write; by default the one that the report reads")
    ] = None,
) -> None:
    """Collect this commit's experiments into a table of models and filters."""
    import dvc.api
    from dvc.utils.flatten import flatten

    from bonexray.base.config import read_params
    from bonexray.base.files import atomic_file
    from bonexray.results.grid import FILTERS, comparable, filter_grid
    from bonexray.results.revisions import models_at

    experiments, differing = comparable(dvc.api.exp_show(), flatten(read_params()))
    table = filter_grid(experiments, models_at)
    if table.empty:
        do = "run `dvc repro`, or queue experiments and wait for them"
        raise BonexrayError("bonexray grid", expected="finished experiments", received="none", do=do)
    with atomic_file(out or FILTERS) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
    counts = f"{len(table)} rows, {table['Model'].nunique()} models, {table['Filter'].nunique()} filters"
    typer.echo(f"grid: {counts}: {out or FILTERS}")
    if differing:
        settings = ", ".join(f"{name} ({experiments})" for name, experiments in differing.most_common())
        typer.echo(f"left out, as they differ from the workspace in (experiments): {settings}")
    if out is None:
        typer.echo("run `dvc repro` to add it to the report")
