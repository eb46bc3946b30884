"""The command line: `bonexray check | use | repro | sync | ui | table | gate | grid | registry | tune | predict | bundle | export | serve`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bonexray.base.errors import BonexrayError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"bonexray {version('bonexray')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
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


@app.command()
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


@app.command()
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="names of stages; by default the whole study")] = None,
) -> None:
    """Run `dvc repro` with one bar; its output goes to logs/repro/. A default remote is asked for what it has."""
    from bonexray.repro.run import reproduce

    try:
        reproduce(targets or [], lambda line: typer.echo(f"repro: {line}"))
    except KeyboardInterrupt:
        typer.echo("repro: interrupted; the same command continues after the last finished stage", err=True)
        raise typer.Exit(130) from None


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


Format = Literal["onnx", "tflite", "tflite-int8"]
Model = Annotated[
    str | None,
    typer.Option(
        help="name of a model of this study, folder of a bundle, or MLflow address; by default the chosen model"
    ),
]


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="X-ray files, and folders of them")],
    model: Model = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; by default standard output")] = None,
    heatmap: Annotated[Path | None, typer.Option(help="folder for a heat map of each prediction")] = None,
) -> None:
    """Predict the class of X-rays; unreadable files are reported, and the exit code is then 1."""
    from bonexray.progress import progress
    from bonexray.serving.files import image_files, write_table
    from bonexray.serving.predictor import Predictor

    paths = image_files(images)
    predictor = Predictor(_bundle(model))
    answers = progress(predictor.answers(paths, heat=heatmap is not None), "predicting", len(paths))
    bad = write_table(paths, answers, predictor.classes, out, heatmap)
    for path, reason in bad.items():
        typer.echo(f"skipped: {path}: {reason}", err=True)
    typer.echo(f"predict: {len(paths) - len(bad)} of {len(paths)} X-rays with {predictor.card.model}", err=True)
    if bad:
        raise typer.Exit(2 if len(bad) == len(paths) else 1)


@app.command()
def bundle(
    model: Model = None,
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("bundle"),
) -> None:
    """Write a model to a folder that predicts without the study: weights, classes, preprocessing, hashes."""
    from bonexray.serving.bundle import write_bundle

    card = write_bundle(_bundle(model), out)
    typer.echo(f"bundle: {card.model} in {out}, digest {card.digest}")


@app.command()
def export(
    kind: Annotated[Format, typer.Option("--format", help="format of the file")],
    model: Model = None,
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("exported"),
    most_different: Annotated[float | None, typer.Option(help="largest accepted difference of a probability")] = None,
) -> None:
    """Convert a model to another format, if its predictions on validation images stay the same."""
    from bonexray.serving.export import export_model

    parity = export_model(_bundle(model), kind, out, most_different)
    typer.echo(
        f"export: {out}: {parity.agreement:.1%} of {parity.images} validation labels agree, probabilities differ by at most "
        f"{parity.largest_difference:.2g}; {parity.bytes / 1e6:.2f} MB (original {parity.original_bytes / 1e6:.2f}), "
        f"{parity.latency_ms:.1f} ms per image (original {parity.original_latency_ms:.1f})"
    )


@app.command()
def serve(
    model: Annotated[
        list[str] | None, typer.Option(help="as for `bonexray predict`; name two to see them side by side")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port of 127.0.0.1; 0 takes a free one")] = 8000,
    most_mb: Annotated[float, typer.Option(min=0.001, help="largest file, in MB")] = 64,
) -> None:
    """Open a page on this machine that shows what a model makes of an X-ray; nothing is stored or sent elsewhere."""
    from bonexray.serving.predictor import Predictor
    from bonexray.serving.web.server import serve as serve_page
    from bonexray.serving.web.upload import Limits

    names: list[str | None] = [*model] if model else [None]
    if len(names) > 2:
        raise BonexrayError("--model", expected="one or two models", received=len(names), do="name fewer")
    predictors = [Predictor(_bundle(name)) for name in names]
    title = " and ".join(predictor.card.model for predictor in predictors)
    serve_page(predictors, port, Limits(most_mb), lambda url: typer.echo(f"serve: {title} on {url}; end with Ctrl-C"))


def _bundle(model: str | None):
    """Open a bundle's folder, a model in MLflow, or a model of this study."""
    from bonexray.serving.bundle import CARD, open_bundle

    if model and (Path(model) / CARD).exists():
        return open_bundle(Path(model))
    if model and ":/" in model:
        from bonexray.tracking.registered import fetch_bundle

        return fetch_bundle(model)
    from bonexray.serving.study import chosen_model, study_bundle
    from bonexray.study import load_settings

    return study_bundle(load_settings(), model or chosen_model())


def main() -> None:
    """Run a command; print an error that the user can correct as one line, without a traceback."""
    try:
        app(standalone_mode=True)
    except BonexrayError as error:
        print(f"bonexray: {error}", file=sys.stderr)
        sys.exit(1)
