"""An image of a dataset, and what was understood of all of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """An image of a dataset.

    Attributes:
        path: relative to the root of the dataset, with forward slashes.
        label: name of the class.
        group: patient or source image; None if the dataset does not name it.
        split: train, val or test; None if the dataset has no split of its own.
    """

    path: str
    label: str
    group: str | None
    split: str | None


@dataclass(frozen=True)
class Listing:
    """All images of a dataset.

    Attributes:
        sources: sorted by path.
        notes: what was ignored or brought together, and why; one line each.
    """

    sources: list[Source]
    notes: list[str] = field(default_factory=list)
