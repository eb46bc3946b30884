"""Score heat maps against the boxes and outlines of findings, image by image.

References:
    Energy inside the box: Wang et al., Score-CAM, CVPR Workshops 2020. Pointing game: Zhang et al., Top-down neural
    attention by excitation backprop, IJCV 126, 2018, here without their tolerance of 15 pixels.
"""

from dataclasses import dataclass

import numpy as np

THRESHOLDS = np.round(np.arange(0.05, 1.0, 0.05), 2)  # shares of the strongest pixel
UNTUNED = 0.5  # threshold where no validation image has a region
SCORES = ("pointing", "energy", "iou")
OUTLINE_SCORES = ("outline_iou", "outline_dice")  # only for images with an outline


@dataclass(frozen=True)
class LocalisationScores:
    """Scores of heat maps, one row an image.

    Attributes:
        pointing: float (images,), share of the strongest pixels that are in a box: 0 or 1, unless several are as strong.
        energy: float (images,), share of the sum of the map that is in a box.
        iou: float (images, thresholds), intersection over union of the boxes and of the pixels at or above a threshold.
        outline_iou: the same with the outline; NaN for images without one.
        outline_dice: the Dice coefficient of the same; NaN for images without an outline.
    """

    pointing: np.ndarray
    energy: np.ndarray
    iou: np.ndarray
    outline_iou: np.ndarray
    outline_dice: np.ndarray

    def at(self, thresholds: dict[str, float]) -> dict[str, np.ndarray]:
        """Return each score (images,) at its threshold, those without one as they are."""
        scores = {name: getattr(self, name) for name in (*SCORES, *OUTLINE_SCORES)}
        return {
            name: values if values.ndim == 1 else values[:, _column(thresholds[name])]
            for name, values in scores.items()
        }


def score_maps(heat: np.ndarray, boxes: np.ndarray, outlines: np.ndarray) -> LocalisationScores:
    """Score heat maps; one without contrast points everywhere, and one of zeros nowhere and scores 0.

    Args:
        heat: float (images, px, px), at least 0.
        boxes: bool (images, px, px), True in the boxes; at least one pixel an image.
        outlines: float (images, px, px) in [0, 1], share of each pixel in the outline; NaN for images without one.
    """
    strongest, total = heat.max(axis=(1, 2)), heat.sum(axis=(1, 2))
    top = (heat >= strongest[:, None, None]) & (heat > 0)
    without, shares = np.isnan(outlines).any(axis=(1, 2)), np.nan_to_num(outlines)
    # An outline thinner than half a pixel everywhere is the pixels that it takes most of.
    drawn = (shares > 0) & (shares >= np.minimum(shares.max(axis=(1, 2), keepdims=True), 0.5))
    levels = strongest[:, None, None] * THRESHOLDS[:, None, None, None]
    chosen = np.moveaxis((heat >= levels) & (heat > 0), 0, 1)  # (images, thresholds, px, px)
    iou, _ = _overlap(chosen, boxes)
    outline_iou, outline_dice = (np.where(without[:, None], np.nan, part) for part in _overlap(chosen, drawn))
    return LocalisationScores(
        pointing=_share((top & boxes).sum(axis=(1, 2)), top.sum(axis=(1, 2))),
        energy=_share((heat * boxes).sum(axis=(1, 2)), total),
        iou=iou,
        outline_iou=outline_iou,
        outline_dice=outline_dice,
    )


def joined(parts: list[LocalisationScores]) -> LocalisationScores:
    """Return the scores of several sets of images as one."""
    names = LocalisationScores.__dataclass_fields__
    return LocalisationScores(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def best_thresholds(scores: LocalisationScores, rows: np.ndarray) -> dict[str, float]:
    """Return the threshold with the highest mean over some images for each score that needs one.

    Args:
        scores: of all images.
        rows: bool (images,), True for those of validation.
    """
    found = {}
    for name in ("iou", *OUTLINE_SCORES):
        values = getattr(scores, name)[rows]
        known = values[~np.isnan(values).any(axis=1)]
        found[name] = float(THRESHOLDS[known.mean(axis=0).argmax()]) if len(known) else UNTUNED
    return found


def pyramid(px: int, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return a heat map (px, px) that falls from 1 in the middle of a box to 0 at its edges and beyond.

    It is what an answer that never looks at the image is worth: the middle of the picture, or the mean box.
    """
    centres = np.arange(px) + 0.5
    across = np.abs(centres - (left + right) / 2) / max((right - left) / 2, 0.5)
    down = np.abs(centres - (top + bottom) / 2) / max((bottom - top) / 2, 0.5)
    return np.clip(1 - np.maximum(down[:, None], across[None]), 0, 1)


def _overlap(chosen: np.ndarray, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return intersection over union and Dice coefficient, float (images, thresholds)."""
    region = region[:, None]
    both = (chosen & region).sum(axis=(2, 3))
    sizes = chosen.sum(axis=(2, 3)) + region.sum(axis=(2, 3))
    return _share(both, sizes - both), _share(2 * both, sizes)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(whole), float), where=whole > 0)


def _column(threshold: float) -> int:
    return int(np.abs(THRESHOLDS - threshold).argmin())
