"""Images under two labels are quarantined, whether their pixels are the same or a copy's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audited import LOCAL, image
from PIL import Image

from bonexray.dataset.source import Source
from bonexray.phantom.simulation import simulate
from bonexray.split.audit import AuditedImage, audit_images
from bonexray.split.contradictions import CERTAIN, COPY, SAME, among_usable, refuse_contradictions
from bonexray.split.grouping import find_copies, groups_of
from bonexray.split.lookalikes import Pair
from bonexray.split.settings import Audit

LABELS = ["normal", "osteopenia"]

Save = Callable[[Image.Image, Path], None]
COPIES: dict[str, tuple[Save, str]] = {
    "identical": (lambda picture, path: picture.save(path, "PNG"), SAME),
    "lossless in another format": (lambda picture, path: picture.save(path, "TIFF"), SAME),
    "a JPEG of quality 90": (lambda picture, path: picture.save(path, "JPEG", quality=90), COPY),
    "a JPEG of quality 60": (lambda picture, path: picture.save(path, "JPEG", quality=60), COPY),
    "resized": (lambda picture, path: picture.resize((130, 130), Image.Resampling.LANCZOS).save(path, "PNG"), COPY),
    "flipped": (lambda picture, path: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path, "PNG"), COPY),
}


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Return one radiograph for each of 12 patients."""
    first = {}
    for radiograph in simulate(12, 160, 400.0, 2.0, 7):
        first.setdefault(radiograph.patient, radiograph.noisy)
    return [Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8)) for pixels in first.values()]


def audited(root: Path, pictures: list[Image.Image], save: Save, label: str) -> tuple[list[AuditedImage], np.ndarray]:
    """Return the radiographs, of two labels in turn, and a copy of the first; and the groups of the usable ones."""
    for number, picture in enumerate(pictures):
        picture.save(root / f"{number:02}", "PNG")
    save(pictures[0], root / "copy")
    sources = [Source(f"{n:02}", LABELS[n % 2], None, None) for n in range(len(pictures))]
    images = audit_images(root, [*sources, Source("copy", label, None, None)], LOCAL)
    pairs = find_copies(images, Audit(), LOCAL)
    images = refuse_contradictions(images, pairs)
    return images, groups_of([item for item in images if item.reason is None], among_usable(images, pairs))


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_under_another_label_is_quarantined_with_its_original(kind: str, tmp_path: Path, pictures) -> None:
    save, reason = COPIES[kind]
    images, groups = audited(tmp_path, pictures, save, LABELS[1])
    assert [item.source.path for item in images if item.reason] == ["00", "copy"]
    assert all(item.reason.startswith(reason) for item in (images[0], images[-1]))
    assert all(item.reason.endswith("under 2 labels: normal, osteopenia") for item in (images[0], images[-1]))
    assert len(set(groups)) == len(groups) == len(pictures) - 1


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_under_the_same_label_is_kept_in_the_group_of_its_original(kind: str, tmp_path: Path, pictures) -> None:
    images, groups = audited(tmp_path, pictures, COPIES[kind][0], LABELS[0])
    assert not any(item.reason for item in images)
    assert groups[0] == groups[-1] and len(set(groups)) == len(pictures)


A, B, C = (image(path, label) for path, label in (("a", LABELS[0]), ("b", LABELS[0]), ("c", LABELS[1])))
TWIN = image("twin", LABELS[1], sha="a")  # the pixels of a


@pytest.mark.parametrize(
    ("images", "pairs", "quarantined"),
    [
        ([A, B, C], [], ""),
        ([A, B, C], [Pair(0, 1, 0.99)], ""),
        ([A, B, C], [Pair(0, 2, CERTAIN)], "ac"),
        ([A, B, C], [Pair(0, 2, CERTAIN - 0.01)], ""),
        ([A, B, C], [Pair(0, 1, 0.9), Pair(1, 2, 0.95)], "abc"),  # a copy of a copy
        ([A, B, C], [Pair(0, 1, 0.9), Pair(1, 2, 0.75)], ""),
        ([A, B, TWIN], [Pair(0, 1, 0.9)], "abtwin"),  # the label of b is that of a, which is unknown
    ],
)
def test_only_copies_beyond_doubt_are_quarantined(images: list, pairs: list[Pair], quarantined: str) -> None:
    after = refuse_contradictions(images, pairs)
    assert "".join(item.source.path for item in after if item.reason) == quarantined
    assert [item.source for item in after] == [item.source for item in images]


def test_the_reason_names_the_other_image() -> None:
    one, _, other = refuse_contradictions([A, B, C], [Pair(0, 2, 0.9)])
    assert one.reason == "a copy of c; copies are under 2 labels: normal, osteopenia"
    assert other.reason == "a copy of a; copies are under 2 labels: normal, osteopenia"


def test_unreadable_images_are_no_contradiction() -> None:
    broken = AuditedImage(Source("x", LABELS[1], None, None), "", "empty file")
    assert refuse_contradictions([A, broken], [])[1].reason == "empty file"
    assert refuse_contradictions([A, broken], [])[0].reason is None


def test_pairs_are_renumbered_among_the_usable_images() -> None:
    images = refuse_contradictions([C, A, image("d", LABELS[0]), B], [Pair(0, 1, 0.9)])
    assert among_usable(images, [Pair(0, 1, 0.9), Pair(2, 3, 0.8)]) == [Pair(0, 1, 0.8)]
