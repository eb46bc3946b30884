"""The gate of a pull request: compares a study's metrics with those of another revision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bonexray.aggregate.table import title_of
from bonexray.base.errors import BonexrayError
from bonexray.data.scores import PREFIX
from bonexray.registry import is_model
from bonexray.results.markdown import markdown_text
from bonexray.results.tables import warnings_of
from bonexray.results.wording import listed, missing, percent, signed, with_interval

SCORE, LABEL = "balanced_accuracy", "balanced accuracy"
ROUNDING = 1e-9  # so that a fall of 0.02 does not exceed a tolerance of 0.02
NONE = "none"


@dataclass(frozen=True)
class Results:
    """The metrics of a study at one revision or in the working tree.

    Args:
        name: name of the revision, as shown to the reader.
        headline: content of metrics/headline.json.
        models: model or ensemble to its scores.
        data: content of metrics/data.json, the findings of the audit.
        split_sha: hash of the split manifest; None if unknown.
        external: external cohort to the chosen model's scores on it.
    """

    name: str
    headline: Mapping[str, object]
    models: Mapping[str, Mapping[str, object]]
    data: Mapping[str, object]
    split_sha: str | None = None
    external: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def leaks(self) -> bool:
        """True if the audit suspects copies or patients on both sides of the split."""
        return bool(self.headline.get("leak_suspect") or self.data.get("leak_suspect"))

    @property
    def collapsed(self) -> list[str]:
        """Models that predict one class for every image."""
        return [name for name, scores in self.models.items() if scores.get("collapsed")]


@dataclass(frozen=True)
class Verdict:
    """The reasons for failure, and notes for the reader."""

    failures: tuple[str, ...]
    notes: tuple[str, ...]


def judge(here: Results, other: Results, tolerance: float | None = None) -> Verdict:
    """Compare the metrics of a study with those of another revision.

    Args:
        here: proposed metrics.
        other: metrics that they would replace.
        tolerance: largest accepted fall in balanced accuracy, in [0, 1]; None accepts a fall to the lower end of the
            other's interval.

    Raises:
        BonexrayError: the tolerance is outside [0, 1].
    """
    if tolerance is not None and not 0 <= tolerance <= 1:
        do = "give the largest fall in balanced accuracy to accept, such as 0.02"
        raise BonexrayError("--tolerance", expected="a number from 0 to 1", received=tolerance, do=do)
    failures = (
        *_falls(here, other, tolerance),
        *_external_falls(here, other),
        *_collapses(here, other),
        *_leaks(here, other),
    )
    return Verdict(failures, tuple(_notes(here, other, tolerance)))


def gate_page(here: Results, other: Results, verdict: Verdict) -> str:
    """Return the verdict in Markdown: a table of both sides, the reasons for failure and the notes."""
    lines = [
        f"### Gate: {'failed' if verdict.failures else 'passed'} against {_code(other.name)}",
        "",
        f"| | {_code(other.name)} | {here.name} | change |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in _rows(here, other)),
    ]
    for title, sentences in (("Why it failed", verdict.failures), ("Notes", verdict.notes)):
        if sentences:
            lines += ["", f"**{title}**", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines)


def _falls(here: Results, other: Results, tolerance: float | None) -> Iterator[str]:
    now, before, low = (
        side.get(key)
        for side, key in (
            (here.headline, SCORE),
            (other.headline, SCORE),
            (other.headline, f"{SCORE}_low"),
        )
    )
    if missing(now):
        yield f"The chosen model's {LABEL} is not defined here."
        return
    if not missing(low) and now < low:
        yield f"The chosen model's {LABEL} of {now:.3f} is below the interval at {_code(other.name)}, which begins at {low:.3f}."
    if tolerance is not None and not missing(before) and before - now > tolerance + ROUNDING:
        yield f"The chosen model's {LABEL} falls by {before - now:.3f}, more than the tolerance of {tolerance:g}."


def _external_falls(here: Results, other: Results) -> Iterator[str]:
    for cohort in sorted(set(here.external) & set(other.external)):
        now, low = here.external[cohort].get(SCORE), other.external[cohort].get(f"{SCORE}_low")
        if not missing(now) and not missing(low) and now < low:
            yield (
                f"The chosen model's {LABEL} on the external cohort {markdown_text(cohort)}, {now:.3f}, is below the interval "
                f"at {_code(other.name)}, which begins at {low:.3f}."
            )


def _collapses(here: Results, other: Results) -> Iterator[str]:
    for name in here.collapsed:
        if name not in other.models:
            yield f"{_title(name)}, a new model, has collapsed: it predicts one class for every image."
        elif name not in other.collapsed:
            yield f"{_title(name)} has collapsed: it predicts one class for every image, unlike at {_code(other.name)}."


def _leaks(here: Results, other: Results) -> Iterator[str]:
    if here.leaks and not other.leaks:
        yield (
            "The audit now suspects a leak: the split has copies of an image, or one patient, on both sides, so the "
            "scores may be too high. See reports/audit.md."
        )


def _notes(here: Results, other: Results, tolerance: float | None) -> Iterator[str]:
    before, low = other.headline.get(SCORE), other.headline.get(f"{SCORE}_low")
    if missing(before) or missing(low):
        yield f"{_code(other.name)} has no {LABEL} with an interval to compare with."
    elif tolerance is None:
        yield f"The interval allows a fall of {before - low:.3f}; use `--tolerance` to allow less."
    sides = [side.headline.get("confidence") for side in (here, other)]
    if all(sides) and sides[0] != sides[1]:
        yield f"The confidence levels differ: {percent(sides[0])} here, {percent(sides[1])} at {_code(other.name)}."
    if not _same_images(here, other):
        yield "The split differs: part of any change is due to other test images, not to the models."
    if here.leaks and other.leaks:
        yield "A leak is suspected at both revisions."
    removed = [_title(name) for name in other.models if name not in here.models]
    if removed:
        yield f"No longer in the study: {listed(removed)}."
    yield from (
        text for text in _warnings(here) if text not in _warnings(other) and not text.startswith("leak_suspect")
    )


def _rows(here: Results, other: Results) -> Iterator[tuple[str, str, str, str]]:
    sides = (other, here)
    yield ("dataset", *(markdown_text(side.headline.get("dataset", "")) for side in sides), "")
    yield ("model chosen on validation", *(_title(side.headline.get("model", "")) for side in sides), "")
    scores = [side.headline.get(SCORE) for side in sides]
    change = "" if any(map(missing, scores)) else signed(scores[1] - scores[0])
    yield (f"its {LABEL} (interval)", *(with_interval(side.headline, SCORE) for side in sides), change)
    for cohort in sorted({*here.external, *other.external}):
        own = [side.external.get(cohort, {}) for side in sides]
        change = "" if any(missing(each.get(SCORE)) for each in own) else signed(own[1][SCORE] - own[0][SCORE])
        yield (f"on {markdown_text(cohort)}", *(with_interval(each, SCORE) for each in own), change)
    images = "the same split" if _same_images(here, other) else "another split"
    yield ("test images", *(str(side.headline.get("n", "")) for side in sides), images)
    yield ("models in the table", *(str(len(side.models)) for side in sides), "")
    yield ("collapsed", *(", ".join(map(_title, side.collapsed)) or NONE for side in sides), "")
    yield ("leak suspected", *("yes" if side.leaks else "no" for side in sides), "")


def _same_images(here: Results, other: Results) -> bool:
    if here.split_sha and other.split_sha:
        return here.split_sha == other.split_sha
    facts = [(side.headline.get("dataset"), side.headline.get("n"), side.data.get("test")) for side in (here, other)]
    return facts[0] == facts[1]


def _warnings(side: Results) -> list[str]:
    score = side.headline.get(SCORE)
    return (
        []
        if missing(score)
        else warnings_of({"leak_suspect": False, "shortcut_balanced_accuracy": None, **side.headline})
    )


def _title(name: str) -> str:
    """Return a model's title, or its name if this version does not know it."""
    return markdown_text(title_of(name) if is_model(name) or name.startswith(PREFIX) else name)


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('|', '/').replace('`', '/').split())}`"
