"""Commands that use a trained model: predict, bundle, export, serve."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bonexray.base.errors import BonexrayError
from bonexray.cli.application import app

PANEL = "Use a model"

Format = Literal["onnx", "tflite", "tflite-int8"]
Model = Annotated[
    str | None,
    typer.Option(
        help="name of a model of this study, folder of a bundle, or MLflow address; by default the chosen model"
    ),
]


@app.command(rich_help_panel=PANEL)
def predict(
    images: Annotated[list[Path], typer.Argument(help="X-ray files, and folders of them")],
    model: Model = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; by default standard output")] = None,
    heatmap: Annotated[Path | None, typer.Option(help="folder for a heat map of each prediction")] = None,
    dicom_sr: Annotated[Path | None, typer.Option(help="folder for a DICOM structured report of each X-ray")] = None,
    dicom_heatmap: Annotated[
        Path | None, typer.Option(help="folder for a DICOM secondary capture of each heat map")
    ] = None,
) -> None:
    """Predict the class of X-rays; unreadable files are reported, and the exit code is then 1, or 2 if all are."""
    from bonexray.progress import progress
    from bonexray.serving.dicom.writing import require_apart, require_dicom
    from bonexray.serving.files import image_files, write_table
    from bonexray.serving.predictor import Predictor

    paths = image_files(images)
    for option, folder in (("--dicom-sr", dicom_sr), ("--dicom-heatmap", dicom_heatmap)):
        if folder:
            require_apart(option, folder, images)
            require_dicom(option, paths)
    predictor = Predictor(_bundle(model))
    # Those that may refuse an X-ray come first, so that it leaves no file.
    columns = _columns(predictor, {"dicom_sr": dicom_sr, "dicom_heatmap": dicom_heatmap, "heatmap": heatmap})
    heat = not columns.keys().isdisjoint(("dicom_heatmap", "heatmap"))
    answers = progress(predictor.answers(paths, heat=heat), "predicting", len(paths))
    bad = write_table(paths, answers, predictor.classes, out, columns)
    for path, reason in bad.items():
        typer.echo(f"skipped: {path}: {reason}", err=True)
    typer.echo(f"predict: {len(paths) - len(bad)} of {len(paths)} X-rays with {predictor.card.model}", err=True)
    if bad:
        raise typer.Exit(2 if len(bad) == len(paths) else 1)


@app.command(rich_help_panel=PANEL)
def external(
    folder: Annotated[
        Path, typer.Argument(help="folder of another hospital, with one folder of X-rays for each class")
    ],
    model: Model = None,
    label: Annotated[
        list[str] | None, typer.Option(help="a label of the folder and its class, such as kl0=normal; may be repeated")
    ] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="regular expression whose first group matches the patient in the path")
    ] = None,
) -> None:
    """Score a model on labelled X-rays of another hospital, beside its own test; unreadable files are reported."""
    from bonexray.external.settings import ExternalCohort
    from bonexray.progress import progress
    from bonexray.serving.external import labelled_xrays, score
    from bonexray.serving.predictor import Predictor

    predictor = Predictor(_bundle(model))
    pairs = [text.partition("=") for text in label or []]
    settings = {"labels": {old: new for old, _, new in pairs}, "group_pattern": group_pattern}
    xrays = labelled_xrays(ExternalCohort(root=str(folder.resolve()), **settings), predictor.classes)
    answers = list(progress(predictor.answers(xrays.paths), "predicting", len(xrays.paths)))
    for path, answer in zip(xrays.paths, answers, strict=True):
        if answer.reason:
            typer.echo(f"skipped: {path}: {answer.reason}", err=True)
    for name, count in xrays.unmapped.items():
        typer.echo(f"left out: {count} with the label {name!r}, which is not a class", err=True)
    internal = predictor.facts.scores if predictor.facts else {}
    read = sum(answer.reason is None for answer in answers)
    typer.echo(f"external: {read} of {len(answers)} X-rays with {predictor.card.model}; in brackets, 95 % intervals")
    for name, (value, low, high) in score(xrays, answers, predictor.classes, predictor.facts).items():
        own = internal.get(name)
        beside = f"; on its own test {own.value:.3f} ({own.low:.3f} to {own.high:.3f})" if own else ""
        typer.echo(f"{name.replace('_', ' ')}: {value:.3f} ({low:.3f} to {high:.3f}){beside}")


@app.command(rich_help_panel=PANEL)
def bundle(
    model: Model = None,
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("bundle"),
) -> None:
    """Write a model to a folder that predicts without the study: weights, classes, preprocessing, hashes."""
    from bonexray.serving.bundle import write_bundle

    card = write_bundle(_bundle(model), out)
    typer.echo(f"bundle: {card.model} in {out}, digest {card.digest}")


@app.command(rich_help_panel=PANEL)
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


@app.command(rich_help_panel=PANEL)
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


def _columns(predictor, folders: dict[str, Path | None]):
    """Return the columns of files that have a folder."""
    from functools import partial

    from bonexray.serving.dicom.writing import captures, reports
    from bonexray.serving.files import drawings

    makers = {
        "dicom_sr": partial(reports, predictor),
        "dicom_heatmap": partial(captures, predictor),
        "heatmap": drawings,
    }
    return {name: makers[name](folder) for name, folder in folders.items() if folder}


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
