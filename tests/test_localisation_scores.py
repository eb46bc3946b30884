"""Scores of heat maps on boxes: cases worked by hand, a perfect and a random map, and intervals beside references."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonexray.evaluate.settings import Evaluate
from bonexray.explain.localisation_files import RANDOM, TITLES
from bonexray.explain.localisation_scores import (
    OUTLINE_SCORES,
    SCORES,
    THRESHOLDS,
    UNTUNED,
    LocalisationScores,
    best_thresholds,
    pyramid,
    score_maps,
)
from bonexray.explain.localisation_summary import summarise
from bonexray.explain.located import Located
from bonexray.figures.explained.localisation import localisation_figure
from bonexray.regions.geometry import Box, inside
from bonexray.registry import REGISTRY

NONE = np.full((1, 4, 4), np.nan)


def scored(heat: np.ndarray, box: Box, outline: np.ndarray | None = None) -> LocalisationScores:
    outlines = np.full((1, *heat.shape), np.nan) if outline is None else outline[None].astype(float)
    return score_maps(heat[None].astype(float), inside([box], len(heat))[None], outlines)


def at(values: np.ndarray, threshold: float) -> float:
    return float(values[0, int(np.abs(THRESHOLDS - threshold).argmin())])


def test_a_case_worked_by_hand() -> None:
    heat = np.zeros((4, 4))
    heat[0, 0], heat[0, 1], heat[1, 1], heat[3, 3] = 1.0, 0.6, 0.4, 0.2
    outline = np.zeros((4, 4))
    outline[0, 0] = 1
    scores = scored(heat, Box(0, 0, 2, 1), outline)  # the pixels (0, 0) and (0, 1)
    assert scores.pointing[0] == 1
    assert scores.energy[0] == pytest.approx(1.6 / 2.2)
    assert [at(scores.iou, t) for t in (0.1, 0.3, 0.5, 0.9)] == pytest.approx([2 / 4, 2 / 3, 1, 1 / 2])
    assert [at(scores.outline_iou, t) for t in (0.1, 0.5, 0.9)] == pytest.approx([1 / 4, 1 / 2, 1])
    assert [at(scores.outline_dice, t) for t in (0.1, 0.5, 0.9)] == pytest.approx([2 / 5, 2 / 3, 1])


def test_a_perfect_map_has_all_and_one_elsewhere_nothing() -> None:
    box = Box(2, 3, 6, 5)
    perfect = scored(inside([box], 8).astype(float), box, inside([box], 8))
    for name in (*SCORES, *OUTLINE_SCORES):
        assert (getattr(perfect, name) == 1).all(), name
    wrong = scored(inside([Box(0, 0, 2, 2)], 8).astype(float), box, inside([box], 8))
    for name in (*SCORES, *OUTLINE_SCORES):
        assert not getattr(wrong, name).any(), name


def test_a_map_of_zeros_scores_nothing_and_a_flat_one_its_chance() -> None:
    box = Box(0, 0, 4, 2)
    empty, flat = scored(np.zeros((8, 8)), box), scored(np.ones((8, 8)), box)
    assert (empty.pointing[0], empty.energy[0], empty.iou.max()) == (0, 0, 0)
    assert (flat.pointing[0], flat.energy[0]) == pytest.approx((8 / 64, 8 / 64))
    assert flat.iou == pytest.approx(8 / 64)


def test_random_maps_score_the_share_of_the_image_that_the_boxes_take() -> None:
    rng = np.random.default_rng(3)
    boxes = np.repeat(inside([Box(2, 2, 10, 8)], 16)[None], 2000, axis=0)
    scores = score_maps(rng.random((2000, 16, 16)), boxes, np.full((2000, 16, 16), np.nan))
    share = 48 / 256
    assert scores.pointing.mean() == pytest.approx(share, abs=0.03)
    assert scores.energy.mean() == pytest.approx(share, abs=0.003)


def test_an_outline_thinner_than_its_pixels_is_those_that_it_takes_most_of() -> None:
    outline = np.zeros((4, 4))
    outline[1, 1:3] = 0.3
    outline[2, 1] = 0.1
    scores = scored((outline == 0.3).astype(float), Box(0, 0, 4, 4), outline)
    assert at(scores.outline_iou, 0.5) == 1


def test_images_without_an_outline_have_no_scores_of_one() -> None:
    scores = scored(np.ones((4, 4)), Box(0, 0, 2, 2))
    assert np.isnan(scores.outline_iou).all() and np.isnan(scores.outline_dice).all()
    assert not np.isnan(scores.iou).any()


@given(st.integers(0, 10**6))
def test_scores_are_shares_and_do_not_depend_on_the_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.random((3, 6, 6)) * (rng.random((3, 6, 6)) < 0.5)
    boxes = np.stack([inside([Box(*np.sort(rng.integers(0, 7, 4))[[0, 1, 2, 3]])], 6) for _ in range(3)])
    one, other = (score_maps(part, boxes, boxes.astype(float)) for part in (heat, 7 * heat))
    for name in (*SCORES, *OUTLINE_SCORES):
        values = getattr(one, name)
        assert ((values >= 0) & (values <= 1)).all()
        np.testing.assert_allclose(values, getattr(other, name))
    assert (one.outline_iou <= one.outline_dice + 1e-12).all()


# Thresholds and references


def test_the_threshold_is_the_best_on_validation_alone() -> None:
    heat = np.zeros((2, 4, 4))
    heat[0, 0, 0], heat[0, 0, 1] = 1, 0.5  # of validation: the box is the strongest pixel alone
    heat[1, 0, 0], heat[1, 0, 1] = 1, 0.5  # of test: the box is both
    boxes = np.stack([inside([Box(0, 0, 1, 1)], 4), inside([Box(0, 0, 2, 1)], 4)])
    scores = score_maps(heat, boxes, np.full((2, 4, 4), np.nan))
    val, test = (best_thresholds(scores, np.array(rows))["iou"] for rows in ([True, False], [False, True]))
    assert val > 0.5 >= test
    assert scores.at({"iou": val, "outline_iou": 0.5, "outline_dice": 0.5})["iou"].tolist() == [1, 0.5]
    assert best_thresholds(scores, np.zeros(2, bool))["iou"] == UNTUNED
    assert best_thresholds(scores, np.ones(2, bool))["outline_iou"] == UNTUNED


def test_a_pyramid_points_at_the_middle_of_its_box_and_ends_at_its_edges() -> None:
    heat = pyramid(9, 2, 4, 7, 7)
    assert np.unravel_index(heat.argmax(), heat.shape) == (5, 4)
    assert not heat[:4].any() and not heat[7:].any() and not heat[:, :2].any() and not heat[:, 7:].any()
    assert pyramid(8, 0, 0, 8, 8)[3:5, 3:5].min() == heat_max(pyramid(8, 0, 0, 8, 8))


def heat_max(heat: np.ndarray) -> float:
    return float(heat.max())


# The summary


@pytest.fixture
def located(monkeypatch: pytest.MonkeyPatch) -> Located:
    """Forty test images of twenty patients and ten of validation, each with one box near the middle."""
    count, px, rng = 50, 12, np.random.default_rng(5)
    rows = pd.DataFrame(
        {
            "row": range(count),
            "id": [f"{number:02d}" for number in range(count)],
            "group": [f"p{number // 2}" for number in range(count)],
            "split": ["test"] * 40 + ["val"] * 10,
            "label": "fracture",
        }
    )
    corners = rng.integers(0, 8, (count, 2))
    boxes = np.stack([inside([Box(x, y, x + 4, y + 3)], px) for x, y in corners])
    monkeypatch.setattr(
        Located, "score", lambda self, heat, at: score_maps(heat, self.boxes[at], self.boxes[at].astype(float))
    )
    return Located(rows, boxes, np.ones(count, bool), Box(4, 4, 8, 7))


def table_of(located: Located, maps: dict[str, np.ndarray]) -> pd.DataFrame:
    parts = []
    for method, heat in maps.items():
        scores = located.score(heat, np.arange(len(heat)))
        table = located.rows[["id", "group"]].assign(**scores.at(best_thresholds(scores, ~located.is_test)))
        parts.append(table[located.is_test].assign(method=method))
    return pd.concat(parts, ignore_index=True)


def test_a_planted_perfect_map_is_above_every_reference_and_a_random_one_is_not(located: Located) -> None:
    noise = np.random.default_rng(1).random(located.boxes.shape)
    perfect = table_of(located, {"taught": located.boxes.astype(float), RANDOM: noise})
    chance = table_of(located, {"gradcam": np.roll(noise, 1, axis=0), RANDOM: noise})
    settings = Evaluate(resamples=300)
    summary = summarise(located, {"one": perfect, "other": chance}, settings)
    assert (summary["images"], summary["patients"], summary["outlined"]) == (40, 20, 40)
    best, poor = summary["models"]["one"]["taught"], summary["models"]["other"]["gradcam"]
    for name in (*SCORES, *OUTLINE_SCORES):
        assert best[name] == best[f"{name}_low"] == best[f"{name}_high"] == 1
    for reference in ("centre", "mean_box", RANDOM):
        assert best[f"above_{reference}_low"] > 0.2
    assert poor["above_random_low"] <= 0 <= poor["above_random_high"]
    assert poor["pointing_low"] <= poor["pointing"] <= poor["pointing_high"]
    assert "above_centre" not in summary["models"]["one"][RANDOM]
    assert set(summary["references"]) == {"centre", "mean_box"}
    json.dumps(summary)


def test_patients_are_resampled_and_not_images(located: Located) -> None:
    """Two copies of every image tell no more than one."""
    noise = np.random.default_rng(1).random((25, 12, 12))
    twins = Located(
        located.rows,
        np.repeat(located.boxes[::2], 2, axis=0),
        located.has_outline,
        located.mean_box,
    )
    half = Located(
        located.rows[::2].reset_index(drop=True), located.boxes[::2], located.has_outline[::2], located.mean_box
    )
    settings = Evaluate(resamples=400)
    one = summarise(twins, {"m": table_of(twins, {RANDOM: np.repeat(noise, 2, axis=0)})}, settings)
    other = summarise(half, {"m": table_of(half, {RANDOM: noise})}, settings)
    for key in ("pointing", "pointing_low", "pointing_high"):
        assert one["models"]["m"][RANDOM][key] == pytest.approx(other["models"]["m"][RANDOM][key])


def test_images_without_an_outline_leave_its_scores_out(located: Located) -> None:
    table = table_of(located, {RANDOM: np.ones(located.boxes.shape)})
    table[list(OUTLINE_SCORES)] = np.nan
    assert not any(
        "outline" in key for key in summarise(located, {"m": table}, Evaluate(resamples=100))["models"]["m"][RANDOM]
    )


def test_the_figure_draws_every_model_and_kind_of_map(located: Located, tmp_path) -> None:
    maps = {kind: np.random.default_rng(2).random(located.boxes.shape) for kind in TITLES}
    names = list(REGISTRY)[:3]
    summary = summarise(located, dict.fromkeys(names, table_of(located, maps)), Evaluate(resamples=100))
    path = tmp_path / "figure.png"
    localisation_figure(summary, {name: REGISTRY[name].title for name in names}, path)
    assert path.stat().st_size > 10_000
