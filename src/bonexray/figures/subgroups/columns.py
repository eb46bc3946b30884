"""The score of the chosen model in each subgroup, one panel for each column of the record."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from bonexray.figures.canvas.canvas import BLUE, ORANGE, PAD, SMALL, TEXT, board, fit_head, plot_at, save, write_head
from bonexray.figures.canvas.labels import fit_distinct, height_of, width_of

ROW, PLOT, GAP = 0.3, 3.2, 0.48  # inches: per subgroup, width of the axis, between panels
LABEL = 2.2  # inches for the name of a subgroup
SCORE = "balanced_accuracy"


def draw_subgroups(
    columns: Mapping[str, Mapping[str, Mapping[str, object]]], whole: Mapping[str, object], title: str, path: Path
) -> None:
    """Draw balanced accuracy with its interval in each subgroup.

    Args:
        columns: column to subgroup to its scores, `n`, `n_groups` and `too_few`.
        whole: scores of the whole test set.
        title: of the model.
        path: the PNG to write.
    """
    names = {column: fit_distinct(list(values), LABEL, TEXT, 2) for column, values in columns.items()}
    left = PAD + max(width_of(name, TEXT) for each in names.values() for name in each) + 0.15
    width = left + PLOT + 2.35
    note = f"line: interval; dashed: all {whole['n']} test {whole['unit']}s, {whole[SCORE]:.2f}"
    head, small, top = fit_head(f"{title}: balanced accuracy on test by subgroup", width, note)
    heading = height_of("x", TEXT) + 0.1
    drawing, surface = board(width, top + sum(heading + ROW * len(v) + GAP for v in columns.values()))
    write_head(surface, head, small)
    for column, values in columns.items():
        (label,) = fit_distinct([column], width - 2 * PAD, TEXT)
        surface.text(PAD, top + 0.04, label, size=TEXT, va="top", weight="bold")
        top += heading
        axis = plot_at(drawing, left, top, PLOT, ROW * len(values))
        axis.axvline(float(whole[SCORE]), color=ORANGE, linestyle="--", linewidth=1.2)
        for place, (name, scores) in enumerate(zip(names[column], values.values(), strict=True)):
            middle = top + (place + 0.5) * ROW
            _point(axis, place, scores)
            surface.text(left - 0.1, middle, name, size=TEXT, ha="right", va="center")
            surface.text(left + PLOT + 0.12, middle, _numbers(scores), size=SMALL, va="center")
        axis.set(xlim=(0, 1), ylim=(len(values) - 0.5, -0.5), yticks=[])
        top += ROW * len(values) + GAP
    save(drawing, path)


def _point(axis: Axes, place: int, scores: Mapping[str, object]) -> None:
    if scores["too_few"]:
        return
    axis.plot([scores[f"{SCORE}_low"], scores[f"{SCORE}_high"]], [place, place], color=BLUE, linewidth=2)
    axis.plot(scores[SCORE], place, "o", color=BLUE, markersize=6, clip_on=False)


def _numbers(scores: Mapping[str, object]) -> str:
    counts = f"n = {scores['n']}, {scores['n_groups']} patient{'' if scores['n_groups'] == 1 else 's'}"
    return f"too few; {counts}" if scores["too_few"] else f"{scores[SCORE]:.2f}; {counts}"
