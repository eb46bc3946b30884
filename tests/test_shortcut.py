"""The shortcut check sees what the file and the picture give away, each apart, and no class that it cannot predict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audited import CLASSES, LOCAL, image
from PIL import Image

from bonexray.dataset.source import Source
from bonexray.split.audit import AuditedImage, audit_images, mean_gradient
from bonexray.split.grouping import groups_of
from bonexray.split.shortcut import shortcut_scores

ALL, FILE, PICTURE = (f"shortcut_{kind}balanced_accuracy" for kind in ("", "file_", "picture_"))
FACTS = {"height": 100, "width": 100, "file_bytes": 5000, "file_format": "PNG", "mode": "L"} | {
    "mean": 0.4,
    "spread": 0.2,
    "gradient": 0.05,
}


def cohort(**of_second_class: object) -> list[AuditedImage]:
    """Return 30 images of each class, which differ in nothing but these facts."""
    return [
        replace(image(f"{name}/{n}", name), **FACTS | (of_second_class if name == CLASSES[1] else {}))
        for name in CLASSES
        for n in range(30)
    ]


@pytest.mark.parametrize(
    ("fact", "value", "file", "picture"),
    [
        ("height", 120, 1, 0.5),
        ("file_bytes", 6000, 1, 0.5),
        ("file_format", "JPEG", 1, 0.5),
        ("mode", "RGB", 1, 0.5),
        ("mean", 0.5, 0.5, 1),
        ("spread", 0.3, 0.5, 1),
        ("gradient", 0.09, 0.5, 1),
    ],
)
def test_a_fact_that_differs_gives_the_class_away(fact: str, value: object, file: float, picture: float) -> None:
    images = cohort(**{fact: value})
    scores = shortcut_scores(images, groups_of(images))
    assert scores == pytest.approx({ALL: 1, FILE: file, PICTURE: picture}, abs=0.1)


@pytest.mark.parametrize("names", [("0", "1"), ("1e3", "nan"), ("yes", "no"), ("1", "1.5")])
def test_classes_may_be_named_like_numbers(names: tuple[str, str]) -> None:
    labels = dict(zip(CLASSES, names, strict=True))
    images = [
        replace(item, source=replace(item.source, label=labels[item.source.label])) for item in cohort(height=120)
    ]
    assert shortcut_scores(images, groups_of(images))[FILE] == pytest.approx(1, abs=0.1)


def test_facts_that_do_not_differ_predict_nothing() -> None:
    images = cohort()
    assert shortcut_scores(images, groups_of(images)) == pytest.approx({ALL: 0.5, FILE: 0.5, PICTURE: 0.5}, abs=0.1)


def test_images_of_a_patient_are_in_one_fold() -> None:
    """Each patient has a brightness of its own, which says nothing of other patients."""
    levels = np.random.default_rng(0).permutation(40) / 40
    images = [
        replace(image(f"{n}/{k}", CLASSES[n % 2], group=f"{n}"), **FACTS | {"mean": levels[n]})
        for n in range(40)
        for k in range(8)
    ]
    apart = np.arange(len(images))
    assert shortcut_scores(images, groups_of(images))[PICTURE] < 0.7 < 0.95 < shortcut_scores(images, apart)[PICTURE]


def test_too_few_groups_have_no_score() -> None:
    assert shortcut_scores(cohort()[:31], np.arange(31)) == {ALL: None, FILE: None, PICTURE: None}


def test_the_facts_of_a_picture_are_those_of_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
    pixels[0, :2] = 0, 255
    Image.fromarray(pixels).save(tmp_path / "1.png")
    (item,) = audit_images(tmp_path, [Source("1.png", "a", None, None)], LOCAL)
    grey = pixels / 255
    steps = np.concatenate([np.abs(np.diff(grey, axis=0)).ravel(), np.abs(np.diff(grey, axis=1)).ravel()])
    assert (item.mean, item.spread, item.gradient) == pytest.approx((grey.mean(), grey.std(), steps.mean()), abs=1e-6)
    assert mean_gradient(np.zeros((1, 1))) == 0
