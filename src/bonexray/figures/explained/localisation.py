"""How often the strongest place of a heat map is inside a box, for every network and kind of map."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from bonexray.figures.canvas.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    PAD,
    SMALL,
    TEXT,
    VERMILION,
    board,
    fit_head,
    plot_at,
    save,
    write_head,
)
from bonexray.figures.canvas.labels import fit_distinct, height_of, width_of

ROW, PLOT, GAP = 0.27, 3.6, 0.14  # inches: per kind of map, width of the axis, between networks
LABEL = 2.4  # inches for the name of a kind of map
SCORE, RANDOM = "pointing", "random"


def localisation_figure(summary: Mapping[str, object], titles: Mapping[str, str], path: Path) -> None:
    """Draw the pointing game of every network and kind of map with its interval, and lines at the references.

    Args:
        summary: content of localisation.json.
        titles: model to its title.
        path: the PNG to write.
    """
    models, references = summary["models"], summary["references"]
    shown = list(dict.fromkeys(kind for part in models.values() for kind in part))
    labels = dict(zip(shown, fit_distinct([summary["kinds"][kind] for kind in shown], LABEL, TEXT), strict=True))
    left = PAD + max(width_of(label, TEXT) for label in labels.values()) + 0.15
    width = left + PLOT + 1.9
    note = (
        f"{summary['images']} test images of {summary['patients']} patients with boxes; line: interval; dashed: centre of "
        f"the image, {references['centre'][SCORE]:.2f}; dotted: mean box of training, {references['mean_box'][SCORE]:.2f}"
    )
    head, small, top = fit_head("Pointing game: is the strongest place inside a box?", width, note)
    heading = height_of("x", TEXT) + 0.08
    height = top + sum(heading + ROW * len(part) + GAP for part in models.values()) + 0.3 + PAD
    drawing, surface = board(width, height)
    write_head(surface, head, small)
    for model, part in models.items():
        (title,) = fit_distinct([titles[model]], width - 2 * PAD, TEXT)
        surface.text(PAD, top + 0.02, title, size=TEXT, va="top", weight="bold")
        top += heading
        axis = plot_at(drawing, left, top, PLOT, ROW * len(part))
        axis.axvline(references["centre"][SCORE], color=ORANGE, linestyle="--", linewidth=1.2)
        axis.axvline(references["mean_box"][SCORE], color=VERMILION, linestyle=":", linewidth=1.5)
        for place, (kind, scores) in enumerate(part.items()):
            _point(axis, place, scores, GRAY if kind == RANDOM else BLUE, "s" if kind == RANDOM else "o")
            _words(surface, left, top + (place + 0.5) * ROW, labels[kind], scores)
        axis.set(xlim=(0, 1), ylim=(len(part) - 0.5, -0.5), yticks=[], xticks=[0, 0.25, 0.5, 0.75, 1])
        axis.tick_params(labelbottom=model == list(models)[-1])
        top += ROW * len(part) + GAP
    save(drawing, path)


def _words(surface: Axes, left: float, middle: float, label: str, scores: Mapping[str, float]) -> None:
    numbers = f"{scores[SCORE]:.2f} ({scores[f'{SCORE}_low']:.2f} to {scores[f'{SCORE}_high']:.2f})"
    surface.text(left - 0.1, middle, label, size=TEXT, ha="right", va="center")
    surface.text(left + PLOT + 0.12, middle, numbers, size=SMALL, va="center")


def _point(axis: Axes, place: int, scores: Mapping[str, float], colour: str, marker: str) -> None:
    axis.plot([scores[f"{SCORE}_low"], scores[f"{SCORE}_high"]], [place, place], color=colour, linewidth=2)
    axis.plot(scores[SCORE], place, marker, color=colour, markersize=5.5, clip_on=False)
