"""What the audit of the images found, as a page and as a figure of the pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bonexray.figures.canvas.canvas import figure, save

SHOWN = 24  # pairs in the page and in the figure


@dataclass(frozen=True)
class Finding:
    """Two images that are one picture.

    Attributes:
        likeness: correlation of their fine structure, at most 1.
        paths: of both.
        labels: of both.
        splits: that they came with, "" where the dataset has none.
        thumbnails: uint8 (side, side) of both.
    """

    likeness: float
    paths: tuple[str, str]
    labels: tuple[str, str]
    splits: tuple[str, str]
    thumbnails: tuple[np.ndarray, np.ndarray]

    @property
    def badness(self) -> tuple[bool, bool, float]:
        """Greater is worse: across a split, under two labels, alike."""
        return self.splits[0] != self.splits[1], self.labels[0] != self.labels[1], self.likeness


def audit_page(counts: Mapping[str, object], findings: Sequence[Finding], crossing: str) -> str:
    """The audit in Markdown.

    Args:
        counts: of metrics/data.json.
        findings: all pairs, the worst first.
        crossing: the policy for what stands on both sides of a given split.
    """
    shortcut = counts["shortcut_balanced_accuracy"]
    facts = "too few groups to tell" if shortcut is None else f"balanced accuracy {shortcut:.3f}"
    lines = [
        "# Audit of the images",
        "",
        "| found | images or pairs |",
        "| --- | --: |",
        f"| images used | {counts['images']} |",
        f"| groups (patients, sources, copies) | {counts['groups']} |",
        f"| largest group | {counts['largest_group']} |",
        f"| quarantined | {counts['quarantined']} |",
        f"| of these, the same pixels under two labels | {counts['contradictory_labels']} |",
        f"| repeated pixels | {counts['duplicated_images']} |",
        f"| pairs that are one picture in other bytes | {counts['lookalike_pairs']} |",
        f"| of these, under two labels | {counts['lookalike_pairs_of_two_labels']} |",
        f"| images whose group crosses the dataset's own split | {counts['crossing_images']} |",
        "",
        f"Policy for what crosses (`audit.crossing`): **{crossing}**.",
        *(["**`leak_suspect`: test results of this study may be too good.**"] if counts["leak_suspect"] else []),
        "",
        f"Without a look at any bone, from size, bytes, format, mode and mean brightness alone: {facts} "
        f"(chance {counts['shortcut_chance']:.3f}, cross-validated).",
        "",
    ]
    if not findings:
        return "\n".join([*lines, "No two images are one picture in other bytes.", ""])
    lines += [
        f"The worst {min(SHOWN, len(findings))} of {len(findings)} pairs; pictures in `reports/audit/pairs.png`, all in "
        "`reports/audit/pairs.csv`.",
        "",
        "| likeness | one | other | labels | given splits |",
        "| --: | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {found.likeness:.2f} | `{found.paths[0]}` | `{found.paths[1]}` | {_both(found.labels)} | {_both(found.splits)} |"
        for found in findings[:SHOWN]
    ]
    return "\n".join([*lines, ""])


def pairs_figure(findings: Sequence[Finding], path: Path) -> None:
    """The worst pairs side by side, each with its likeness, labels and splits."""
    shown = findings[:SHOWN]
    columns = min(3, len(shown)) or 1
    rows = -(-len(shown) // columns) or 1
    drawing, axes = figure(rows, columns, width=4.2 * columns, height=2.5 * rows)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, found in zip(axes.flat, shown, strict=False):
        gap = np.full((found.thumbnails[0].shape[0], 4), 255, np.uint8)
        axis.imshow(np.hstack([found.thumbnails[0], gap, found.thumbnails[1]]), cmap="gray", vmin=0, vmax=255)
        splits = f"   {_both(found.splits)}" if any(found.splits) else ""
        axis.set_title(f"{found.likeness:.2f}   {_both(found.labels)}{splits}", fontsize=8)
    if not shown:
        axes[0, 0].set_title("No two images are one picture in other bytes.", fontsize=8)
    save(drawing, path)


def _both(names: tuple[str, str]) -> str:
    return names[0] if names[0] == names[1] else f"{names[0]} / {names[1]}"
