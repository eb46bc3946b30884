"""Report the audit of the images as a page, and its pairs as a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bonexray.figures.canvas.grid import image_grid
from bonexray.split.given_split import split_sentence

MAX_PAIRS = 24  # on the page and in the figure
NO_COPIES = "No two images are copies with different pixels."


@dataclass(frozen=True)
class Finding:
    """Two images that show the same radiograph.

    Attributes:
        likeness: correlation of their fine structure, at most 1.
        paths: of both images.
        labels: of both images.
        splits: of both images in the dataset; "" without one.
        thumbnails: uint8 (side, side), of both images.
    """

    likeness: float
    paths: tuple[str, str]
    labels: tuple[str, str]
    splits: tuple[str, str]
    thumbnails: tuple[np.ndarray, np.ndarray]

    @property
    def badness(self) -> tuple[bool, bool, float]:
        """Sort key, greater for worse pairs: first those across splits, then of two labels, then by likeness."""
        return self.splits[0] != self.splits[1], self.labels[0] != self.labels[1], self.likeness


def audit_page(
    counts: Mapping[str, object],
    findings: Sequence[Finding],
    crossing: str,
    remarks: Mapping[str, Sequence[str]],
    notes: Sequence[str] = (),
) -> str:
    """Return the audit in Markdown.

    Args:
        counts: content of metrics/data.json.
        findings: all pairs, the worst first.
        crossing: the policy for groups that cross the splits of the dataset.
        remarks: paths of the images with each remark on a malformed file.
        notes: how the dataset was understood, and what was found about its patients; one line each.
    """
    changes = counts.get("given_split")
    lines = [
        "# Audit of the images",
        "",
        *([f"**{split_sentence(changes, crossing)}**", ""] if changes else []),
        *(["```text", *(note.replace("```", "'''") for note in notes), "```", ""] if notes else []),
        "| | images or pairs |",
        "| --- | --: |",
        f"| images used | {counts['images']} |",
        f"| groups (patients, sources, copies) | {counts['groups']} |",
        f"| largest group | {counts['largest_group']} |",
        f"| used although something in the file is malformed | {counts['remarked']} |",
        f"| quarantined | {counts['quarantined']} |",
        f"| of these, with the same pixels under two labels | {counts['contradictory_labels']} |",
        f"| repeated pixels | {counts['duplicated_images']} |",
        f"| pairs of copies with different pixels | {counts['lookalike_pairs']} |",
        f"| of these, with two labels | {counts['lookalike_pairs_of_two_labels']} |",
        f"| images of these that are quarantined, because the right label is unknown | {counts['contradictory_copies']} |",
        f"| images whose group crosses the splits of the dataset | {counts['crossing_images']} |",
        "",
        f"Policy for groups that cross the splits (`audit.crossing`): **{crossing}**.",
        *(["**`leak_suspect`: test scores of this study may be too high.**"] if counts["leak_suspect"] else []),
        "",
        _shortcut(counts),
        "",
        *_remarks(remarks),
    ]
    if not findings:
        return "\n".join([*lines, NO_COPIES, ""])
    lines += [
        f"The worst {min(MAX_PAIRS, len(findings))} of {len(findings)} pairs: thumbnails in `reports/audit/pairs.png`, all pairs in "
        "`reports/audit/pairs.csv`.",
        "",
        "| likeness | one | other | labels | splits of the dataset |",
        "| --: | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {item.likeness:.2f} | `{item.paths[0]}` | `{item.paths[1]}` | {_both(item.labels)} | {_both(item.splits)} |"
        for item in findings[:MAX_PAIRS]
    ]
    return "\n".join([*lines, ""])


def _remarks(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a table of what was malformed in files that are used."""
    if not remarks:
        return []
    rows = [f"| {remark} | {len(paths)} | `{paths[0]}` |" for remark, paths in sorted(remarks.items())]
    header = ["Malformed files that are used (`remarks` in `data/split/manifest.csv`):", ""]
    return [*header, "| remark | images | the first |", "| --- | --: | --- |", *rows, ""]


def _shortcut(counts: Mapping[str, object]) -> str:
    """Return how well the class is predicted without the anatomy, and what that means."""
    if counts["shortcut_balanced_accuracy"] is None:
        return "Prediction of the class from facts of file and picture alone: too few groups to measure."
    return (
        "Prediction of the class without the anatomy, as balanced accuracy cross-validated by group (chance "
        f"{counts['shortcut_chance']:.3f}): {counts['shortcut_file_balanced_accuracy']:.3f} from the file (size, bytes, format, "
        f"mode), {counts['shortcut_picture_balanced_accuracy']:.3f} from the picture (mean, spread and gradient of its "
        f"brightness), {counts['shortcut_balanced_accuracy']:.3f} from both. A network that scores no higher has learnt no "
        "more than these tell."
    )


def pairs_figure(findings: Sequence[Finding], path: Path) -> None:
    """Draw the worst pairs side by side, with likeness, labels and splits."""
    pictures = []
    for finding in findings[:MAX_PAIRS]:
        gap = np.full((finding.thumbnails[0].shape[0], 4), 255, np.uint8)
        splits = f"; {_both(finding.splits)}" if any(finding.splits) else ""
        caption = f"{finding.likeness:.2f}: {_both(finding.labels)}{splits}"
        pictures.append((caption, np.hstack([finding.thumbnails[0], gap, finding.thumbnails[1]]) / 255))
    title = "Copies of images" if pictures else NO_COPIES
    image_grid(pictures, 3, 4.2, title, path)


def _both(names: tuple[str, str]) -> str:
    return names[0] if names[0] == names[1] else f"{names[0]} / {names[1]}"
