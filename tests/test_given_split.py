"""The split that came with the data: what became of it is said, and it is not lost without being asked for."""

import pytest
from audited import CLASSES, built, cohort, image, settings
from studies import SHAPES, data_of

from bonexray.base.errors import BonexrayError
from bonexray.data.manifest import SPLITS
from bonexray.split.audit import AuditedImage
from bonexray.split.given_split import is_changed, require_usable_splits, split_changes, split_sentence
from bonexray.split.page import audit_page

COUNTS = {**data_of(SHAPES["two classes"]), "remarked": 0}


def copied(copies: int, own: int) -> list[AuditedImage]:
    """Return 12 training images of each class, and a test set of copies of some and of images of its own."""
    train = [image(f"train/{c}/{n}", c, split="train", sha=f"{c}{n}") for c in CLASSES for n in range(12)]
    twins = [image(f"test/{c}/{n}", c, split="test", sha=f"{c}{n}") for c in CLASSES for n in range(copies)]
    return train + twins + [image(f"test/{c}/own{n}", c, split="test") for c in CLASSES for n in range(own)]


@pytest.mark.parametrize("policy", ["regroup", "redraw"])
def test_a_test_set_of_copies_is_drawn_anew_only_if_asked_for(policy: str) -> None:
    images = copied(copies=5, own=0)
    if policy == "redraw":
        sentence = split_sentence(split_changes(images, built(images, settings(), policy)), policy)
        assert "images of test moved to train, since copies of them" in sentence
        assert "since all 10 of test had moved" in sentence
        return
    with pytest.raises(BonexrayError, match=r"images left in test.*none: all 10 are copies.*audit\.crossing=redraw"):
        built(images, settings(), policy)


SENTENCES = {
    "kept": (
        [item for split in SPLITS for item in cohort(3, split, split)],
        "regroup",
        "The split that came with the data is kept: train 6, val 6, test 6.",
    ),
    "without validation": (
        copied(copies=0, own=3),
        "regroup",
        "The split that came with the data was changed: 6 of 24 images of train moved to val, since the data had no val. "
        "It is now train 18, val 6, test 6.",
    ),
    "dropped": (
        [*copied(copies=2, own=1), *cohort(3, "val", "val")],
        "drop",
        "The split that came with the data is kept: train 20, val 6, test 6 (4 left out by audit.crossing or a subset).",
    ),
}


@pytest.mark.parametrize(("images", "policy", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_what_became_of_the_split_is_one_sentence(images: list, policy: str, sentence: str) -> None:
    changes = split_changes(images, built(images, settings(), policy))
    assert split_sentence(changes, policy) == sentence
    assert is_changed(changes) == ("was changed" in sentence)


def test_copies_that_move_are_counted_with_the_reason() -> None:
    images = [*copied(copies=2, own=3), *cohort(3, "val", "val")]
    sentence = split_sentence(split_changes(images, built(images, settings())), "regroup")
    assert (
        "4 of 10 images of test moved to train, since copies of them, or their patients, are in another split"
        in sentence
    )


def test_a_dataset_without_a_split_has_no_changes() -> None:
    images = cohort(6)
    assert split_changes(images, built(images, settings())) == {}


def test_a_split_that_is_all_quarantined_is_refused() -> None:
    bad = AuditedImage(image("test/1", split="test").source, "", "empty file")
    with pytest.raises(BonexrayError, match=r"expected usable images in test, received 1, all quarantined"):
        require_usable_splits([*cohort(3, "train"), bad])
    require_usable_splits(cohort(3, "train"))


def test_the_change_is_the_first_line_of_the_audit() -> None:
    images = copied(copies=2, own=3)
    changes = split_changes(images, built(images, settings()))
    page = audit_page({**COUNTS, "given_split": changes}, [], "regroup", {}, ["a note"])
    assert page.splitlines()[2] == f"**{split_sentence(changes, 'regroup')}**"
    assert "a note" in page
    assert "came with the data" not in audit_page(COUNTS, [], "regroup", {})
