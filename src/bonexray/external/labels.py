"""The labels of an external cohort as classes of the study; no pixel is read here."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bonexray.base.errors import BonexrayError
from bonexray.dataset.names import listed, natural_key
from bonexray.dataset.source import Source
from bonexray.dataset.sources import read_listing
from bonexray.external.settings import ExternalCohort


@contextmanager
def settings_called(what: str) -> Iterator[None]:
    """Name the cohort's settings in errors about `dataset`, because the same code reads both."""
    try:
        yield
    except BonexrayError as error:
        texts = {
            name: str(getattr(error, name)).replace("dataset.", f"{what}.") for name in ("expected", "received", "do")
        }
        raise BonexrayError(error.what.replace("dataset.", f"{what}."), **texts) from None


def with_classes(what: str, settings: ExternalCohort, classes: list[str]) -> tuple[list[Source], dict[str, int]]:
    """Return the images whose label is, or is mapped to, a class of the study, and the number of others by label."""
    with settings_called(what):
        sources = read_listing(settings.model_copy(update={"labels": {}})).sources
    counts = Counter(source.label for source in sources)
    if unknown := sorted(set(settings.labels) - set(counts)):
        labels = listed(sorted(counts, key=natural_key), 20)
        raise BonexrayError(
            f"{what}.labels", expected=f"labels of its images: {labels}", received=listed(unknown), do="correct it"
        )
    if wrong := sorted({new for new in settings.labels.values() if new is not None} - set(classes)):
        raise BonexrayError(
            f"{what}.labels",
            expected=f"classes of the study: {listed(classes)}",
            received=listed(wrong),
            do="correct it",
        )
    mapped = {label: settings.labels.get(label, label) for label in counts}
    mapped = {label: new for label, new in mapped.items() if new in classes}
    unmapped = {label: count for label, count in sorted(counts.items()) if label not in mapped}
    if not mapped:
        raise BonexrayError(
            what,
            expected=f"images of {listed(classes)}",
            received=f"the labels {listed(sorted(counts, key=natural_key), 20)}",
            do=f"say which is which: {what}.labels={{LABEL: {classes[0]}, ...}}",
        )
    return [replace(source, label=mapped[source.label]) for source in sources if source.label in mapped], unmapped
