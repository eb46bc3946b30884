"""Checks before any work: settings, dataset, image sizes, weights files and the experiment in MLflow.

This module reads no images and does not import Keras.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bonexray.base.config import PARAMS
from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import SPLITS
from bonexray.data.scores import PREFIX
from bonexray.dataset.boxes.formats import format_of, require_watched_boxes
from bonexray.dataset.record import require_facts, table_facts
from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Listing
from bonexray.dataset.sources import class_order, read_listing, tree_lines
from bonexray.dataset.versioning import require_out_of_git
from bonexray.denoise.filters import options_of
from bonexray.derived_params import derive_params
from bonexray.evaluate.settings import evaluate_findings, require_classes
from bonexray.external.labels import with_classes
from bonexray.features.published import own_file, require_at_hand
from bonexray.features.safetensors_file import require_safetensors
from bonexray.licences import Use, licence_findings, licences_used
from bonexray.registry import BACKBONES, BASELINE, BASELINES, ORDINAL, REGISTRY, model_row, require_output, require_px
from bonexray.split.stratification import require_enough_groups
from bonexray.study import Settings, load_settings, setting_findings
from bonexray.tracking.deleted import require_not_deleted
from bonexray.tracking.settings import require_usable_name


def require_sound_settings(settings: Settings) -> None:
    """Raise the first problem of the settings as a whole; every stage calls this before its work."""
    for finding in settings_findings(settings):
        raise finding


@dataclass(frozen=True)
class Inspection:
    """What a check finds.

    Attributes:
        findings: every problem of the study as an error.
        lines: how the dataset was understood and, without findings, the licences of what the study uses and what its
            test set can show.
    """

    findings: list[BonexrayError]
    lines: list[str]


def inspect(path: Path = PARAMS) -> Inspection:
    """Check a study; its dataset is listed once."""
    if findings := setting_findings(path):
        return Inspection(findings, [])
    settings = load_settings(path)
    listing, unlisted = _listed(settings.dataset)
    unkept = [*_raised(require_out_of_git, settings.dataset), *_raised(_require_inputs, settings.dataset)]
    for cohort in settings.external.values():
        unkept += _raised(require_out_of_git, cohort)
    unkept += [*_raised(_require_watched, settings.dataset), *_raised(require_watched_boxes, settings.dataset)]
    findings = [*settings_findings(settings), *(unlisted or unkept), *_findings_of(settings, listing)]
    findings += _raised(require_not_deleted, settings.track.name)
    lines = tree_lines(settings.dataset, listing, class_order(settings.dataset, listing.sources)) if listing else []
    sound = [] if findings else [licences_line(settings), power_line(settings, listing)]
    return Inspection(findings, [*lines, *sound])


def licences_line(settings: Settings) -> str:
    """Return the licences of the filter and the weights of a study."""
    return "licences: " + ("; ".join(f"{use.what}: {use.terms}" for use in _uses(settings)) or "nothing of others")


def _uses(settings: Settings) -> list[Use]:
    return licences_used(settings.denoise.model_dump(), settings.weights.model_dump(), settings.backbones)


def power_line(settings: Settings, listing: Listing | None) -> str:
    """Return roughly the smallest difference that the test set of a study will show."""
    from bonexray.aggregate.power import assumed_error, detectable_difference  # SciPy, which no stage waits for here

    networks = [name for name in settings.models if name not in BASELINES]
    ensembles = settings.aggregate.ensembles if len(networks) > 1 else []  # of one network there is none
    patients, models = test_patients(settings, listing), len(settings.models) + len(ensembles)
    pairs = models * (models - 1) // 2
    one, any_two = (detectable_difference(assumed_error(patients), patients, tests) for tests in (1, pairs))
    return (
        f"about {patients} patients in test: with 80 % power they show a difference in balanced accuracy of about "
        f"{min(one, 1):.2f} between two models named beforehand (evaluate.primary), and of {min(any_two, 1):.2f} between any "
        f"two of {models}"
    )


def test_patients(settings: Settings, listing: Listing | None) -> int:
    """Return roughly how many patients will be in test, at least 2; a split that came with the data is kept.

    `listing` is None for a simulated dataset.
    """
    share = settings.split.subset * (1 if settings.split.folds else settings.split.ratios.test)
    if listing is None:
        return max(2, round(settings.phantom.patients * share))
    groups = {source.group or source.path for source in listing.sources}
    given = {source.group or source.path for source in listing.sources if source.split == "test"}
    return max(2, len(given) if given and not settings.split.folds else round(len(groups) * share))


def data_findings(settings: Settings, folder: Path = Path()) -> Iterator[BonexrayError]:
    """Yield problems of the dataset and the weights files of a study in a folder."""
    files = {
        key: str(folder / path) for key, path in settings.dataset if key in ("root", "csv", "record", "boxes") and path
    }
    listing, unlisted = _listed(settings.dataset.model_copy(update=files))
    yield from [*unlisted, *_findings_of(settings, listing)]


def _listed(dataset: Dataset) -> tuple[Listing | None, list[BonexrayError]]:
    """Return what a dataset contains, or why it cannot be listed; neither if the stage phantom creates it."""
    if dataset.simulated:
        return None, []
    try:
        return read_listing(dataset), []
    except BonexrayError as error:
        return None, [error]


def _findings_of(settings: Settings, listing: Listing | None) -> Iterator[BonexrayError]:
    if listing:
        yield from _raised(_require_dataset, settings, listing)
        yield from _raised(_require_facts, settings.dataset, listing)
        if settings.dataset.boxes:
            yield from _raised(format_of, Path(settings.dataset.boxes))
    for name in settings.backbones:
        yield from _raised(_require_weights, name, settings)
    classes = settings.dataset.classes or (class_order(settings.dataset, listing.sources) if listing else [])
    made = [Path(folder) for folder in settings.dataset.simulated.values()]  # by the stage phantom
    for name, cohort in settings.external.items():
        if classes and not any(Path(cohort.root).is_relative_to(folder) for folder in made):
            yield from _raised(with_classes, f"external.{name}", cohort, classes)


def settings_findings(settings: Settings) -> Iterator[BonexrayError]:
    """Yield problems of the settings beyond their types: unknown names, images too small, impossible modes."""
    unfiltered = list(_raised(options_of, settings.denoise))
    yield from unfiltered
    yield from _raised(_require_outputs, settings, len(settings.dataset.classes or ()) or None)
    if settings.dataset.classes:
        yield from evaluate_findings(settings.evaluate, settings.dataset.classes, settings.dataset.ordered)
    derivation = list(_raised(_require_derived, settings))
    yield from derivation
    networks = {name: model for name, model in settings.models.items() if model.mode != BASELINE}
    for name, model in () if derivation else networks.items():
        too_small = list(_raised(require_px, name, settings.prepare.img_px, networks))
        yield from too_small or _raised(_require_mode, name, model.mode)
        yield from _raised(_require_boxes, name, settings.dataset)
    yield from _unknown("weights.files", "backbones", settings.weights.files, BACKBONES)
    unknown = list(_unknown("backbones", "backbones", settings.backbones, BACKBONES))
    yield from unknown
    if not unfiltered and not unknown:
        yield from licence_findings(settings.licences, _uses(settings))
    yield from _unknown("fine_tune.blocks", "backbones", settings.fine_tune.blocks, BACKBONES)
    panel = [*settings.models, *(f"{PREFIX}{kind}" for kind in settings.aggregate.ensembles)]
    yield from _unknown("evaluate.primary", "models", settings.evaluate.primary or (), panel)
    yield from _unknown("modes", "models", settings.modes, [*REGISTRY, *networks])
    yield from _raised(require_usable_name, settings.track)
    for name in settings.external:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            expected = "a name of letters, digits, _ and -, since files are called by it"
            yield BonexrayError("external", expected=expected, received=repr(name), do="rename the cohort")


def _unknown(key: str, kind: str, names: Iterable[str], valid: Iterable[str]) -> Iterator[BonexrayError]:
    for name in sorted(set(names) - set(valid)):
        yield BonexrayError(
            key, expected=f"{kind} among {', '.join(valid)}", received=repr(name), do="correct the name"
        )


def _raised(action: Callable[..., None], *arguments: object) -> Iterator[BonexrayError]:
    try:
        action(*arguments)
    except BonexrayError as error:
        yield error


def _require_derived(settings: Settings) -> None:
    """Refuse `models`, `backbones` and `panel` edited by hand: they must follow from the other settings."""
    content = settings.model_dump(exclude_unset=True)
    for part, expected in derive_params(settings.model_dump()).items():
        if content[part] != expected:
            right, found = _entries(expected), _entries(content[part])
            key = next(name for name in sorted({*right, *found}) if right.get(name) != found.get(name))
            raise BonexrayError(
                f"{PARAMS}: {part}.{key}",
                expected=f"what follows from model, mode, modes, weights and fine_tune: {right.get(key)}",
                received=found.get(key),
                do="change those with `bonexray use`, or with `dvc exp run -S` for one run",
            )


def _entries(section: Mapping | list) -> Mapping:
    """Return a mapping as it is, and a list by place."""
    return section if isinstance(section, Mapping) else {str(place): entry for place, entry in enumerate(section)}


def _require_inputs(dataset: Dataset) -> None:
    """Refuse a folder or a CSV file edited by hand, whose changes DVC would not see."""
    inputs = (
        [next(iter(dataset.simulated.values()))]
        if dataset.simulated
        else [dataset.root, *([dataset.csv] if dataset.csv else [])]
    )
    if dataset.inputs != inputs:
        raise BonexrayError(
            f"{PARAMS}: dataset.inputs",
            expected=f"the files that follow from dataset.root and dataset.csv: {inputs}",
            received=dataset.inputs,
            do="run `bonexray use dataset.root=...`, or change dataset.inputs too",
        )


def _require_watched(dataset: Dataset) -> None:
    """Refuse a record whose changes DVC would not see."""
    if dataset.record and not any(
        Path(dataset.record).absolute().is_relative_to(Path(p).absolute()) for p in dataset.inputs
    ):
        raise BonexrayError(
            "dataset.record",
            expected=f"a file in {dataset.inputs[0]}",
            received=dataset.record,
            do="move it there, beside the images",
        )


def _require_facts(dataset: Dataset, listing: Listing) -> None:
    require_facts(dataset, table_facts(dataset, listing.sources, []), listing.sources)


def _require_outputs(settings: Settings, classes: int | None) -> None:
    """Refuse an output of the study, or of one of its models, that does not fit the classes."""
    own = {f"model {name}": model.output for name, model in settings.models.items() if model.output}
    for setting, output in {"train.output": settings.train.output, **own}.items():
        require_output(output, classes, ordered=settings.dataset.ordered, setting=setting)


def _require_mode(name: str, mode: str) -> None:
    row = model_row(name)
    if mode not in row.modes:
        raise BonexrayError(
            f"models.{name}.mode",
            expected=f"one of {', '.join(row.modes)}",
            received=repr(mode),
            do=f"correct mode or modes.{name}"
            if row.backbones
            else f"remove {name} from modes: it is trained from scratch",
        )


def _require_boxes(name: str, dataset: Dataset) -> None:
    if model_row(name).locator and dataset.boxes is None:
        expected = f"boxes or masks, from which {name} learns where to look"
        raise BonexrayError("dataset.boxes", expected=expected, received="null", do=f"set it, or leave {name} out")


def _require_weights(name: str, settings: Settings) -> None:
    require_at_hand(name, settings.weights)
    if name in settings.weights.files:
        require_safetensors(name, own_file(name, settings.weights))


def _require_dataset(settings: Settings, listing: Listing) -> None:
    sources = listing.sources
    classes = class_order(settings.dataset, sources)
    if not settings.dataset.classes:
        if settings.train.output not in ORDINAL:  # `settings_findings` has refused that already
            require_output(settings.train.output, len(classes))
        require_classes(settings.evaluate, classes, settings.dataset.ordered)
    groups = sorted({source.group or source.path for source in sources})
    rows = {name: row for row, name in enumerate(groups)}
    counts = np.zeros((len(groups), len(classes)), int)
    for source in sources:
        counts[rows[source.group or source.path], classes.index(source.label)] += 1
    require_enough_groups(classes, counts, settings.split.folds or len(SPLITS))
