"""Splits and classes from the folders that people have: what is read, ignored, and refused."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from audited import LOCAL
from datasets import counted, dataset, touch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.dataset.source import Source
from bonexray.dataset.sources import class_order, list_sources, read_listing, tree_lines
from bonexray.dataset.split_names import split_named
from bonexray.split.audit import audit_images

SPLIT = [f"{split}/{label}/1.png" for split in ("train", "val", "test") for label in "ab"]
SPLIT_COUNTS = {f"{split}/{label}": 1 for split in ("train", "val", "test") for label in "ab"}


@pytest.mark.parametrize(
    ("split", "names"),
    {
        "train": ["train", "Training", "TRAIN_SET", "train set", "train-data", "1_train", "train2017", "images_train"],
        "val": ["val", "valid", "Validation", "validation_set", "dev", "val_images"],
        "test": ["test", "Testing", "test-set", "hold-out", "holdout", "Hold Out Set", "test_data"],
        None: ["trains", "normal", "trained", "latest", "contest", "value", "external", "training_normal", "", "vale"],
    }.items(),
)
def test_splits_go_by_the_names_that_people_use(split: str | None, names: list[str]) -> None:
    assert {name: split_named(name) for name in names} == dict.fromkeys(names, split)


READ = {
    "debris of systems": (
        [
            *SPLIT,
            "__MACOSX/train/a/._1.png",
            "@eaDir/a/1.png",
            ".ipynb_checkpoints/a/1.png",
            "train/a/Thumbs.db",
            "train/a/1.png:Zone.Identifier",
        ],
        SPLIT_COUNTS,
        ["__MACOSX", "@eaDir", ".ipynb_checkpoints", "train/a/Thumbs.db"],
    ),
    "sidecar files": (
        [*SPLIT, "annotations/1.xml", "train/a/1.txt", "labels.csv"],
        SPLIT_COUNTS,
        ["annotations", "train/a/1.txt", "labels.csv"],
    ),
    "a nested copy": (
        [*SPLIT, *(f"xray/{path}" for path in SPLIT)],
        SPLIT_COUNTS,
        ["a copy of the dataset inside itself: xray"],
    ),
    "a lone folder around the splits": (["0.png", *(f"xray/{path}" for path in SPLIT)], SPLIT_COUNTS, ["0.png"]),
    "other names of splits": (
        ["train_set/a/1.png", "train_set/b/1.png", "Hold-out/a/1.png", "dev/b/1.png"],
        {"train/a": 1, "train/b": 1, "test/a": 1, "val/b": 1},
        [],
    ),
    "splits in each class": (
        ["a/train/1.png", "a/test/1.png", "b/train/1.png", "b/test/1.png", "b/train/2.png"],
        {"train/a": 1, "test/a": 1, "train/b": 2, "test/b": 1},
        [],
    ),
    "an empty class and files beside": (
        ["a/1.png", "b/1.png", "c/notes.md", "0.png"],
        {"a": 1, "b": 1},
        ["c", "0.png"],
    ),
    "names without a suffix": (["a/IM0001", "b/1.2.840.113"], {"a": 1, "b": 1}, []),
    "numbers": (["0/1.png", "1/1.png", "10/1.png", "2/1.png"], {"0": 1, "1": 1, "2": 1, "10": 1}, []),
    "odd names": (
        ["yes/1.png", "null/1.png", "1e3/1.png", "01/1.png", f"{'x' * 200}/1.png", "膝 关节/1.png", "None/1.png"],
        dict.fromkeys(["yes", "null", "1e3", "01", "x" * 200, "膝 关节", "None"], 1),
        [],
    ),
    "spaces and Unicode forms": (
        ["arthrose\u0301/1.png", "arthros\u00e9/2.png", "3 /1.png"],
        {"arthros\u00e9": 2, "3": 1},
        [],
    ),
    "two cases in two splits": (
        ["train/Normal/1.png", "train/Normal/2.png", "test/normal/1.png", "train/b/1.png", "test/b/1.png"],
        {"train/Normal": 2, "test/Normal": 1, "train/b": 1, "test/b": 1},
        ["'Normal' (2), 'normal' (1)"],
    ),
}


@pytest.mark.parametrize(("paths", "counts", "named"), READ.values(), ids=READ)
def test_what_is_read_and_what_is_named(tmp_path: Path, paths: list[str], counts: dict, named: list[str]) -> None:
    data = dataset(touch(tmp_path, *paths))
    listing = read_listing(data)
    assert counted(listing.sources) == counts
    tree = "\n".join(tree_lines(data, listing, class_order(data, listing.sources)))
    assert [name for name in named if name not in tree] == []


REFUSED = {
    "an unknown folder of images": ([*SPLIT, "external/a/1.png"], r"^external: .*test, train, val.*1 files.*ignore"),
    "two folders for a split": ([*SPLIT, "train_set/a/2.png"], r"^the split train: .*received train, train_set"),
    "a class named like a split": ([*SPLIT, "train/test/1.png"], r"^train/test: .*'test', which is named like a split"),
    "a split among classes": (["a/1.png", "b/1.png", "test/1.png"], r"expected only splits beside test"),
    "splits without training": (["val/a/1.png", "test/b/1.png"], r"expected a folder train"),
    "a split without classes": (
        [*SPLIT[2:], "train/1.png", "train/2.png"],
        r"^train: .*2 images without class folders",
    ),
    "two layouts": (["a/train/1.png", "a/2.png", "b/1.png"], r"^b: .*1 images outside of splits.*one layout"),
    "several datasets": (
        [f"{site}/{path}" for site in ("one", "two") for path in SPLIT],
        r"^one, two: expected one dataset.*'a'",
    ),
    "one class": (["a/1.png", "a/deep/2.png"], r"at least two classes, received only 'a'"),
    "no image": (["a/1.txt", "b/1.xml"], r"received no image"),
    "images without folders": (["1.png", "2.png"], r"2 files in it, but no folder of images"),
}


@pytest.mark.parametrize(("paths", "words"), REFUSED.values(), ids=REFUSED)
def test_an_ambiguous_layout_is_refused_in_one_line(tmp_path: Path, paths: list[str], words: str) -> None:
    with pytest.raises(BonexrayError, match=words) as refused:
        list_sources(dataset(touch(tmp_path, *paths)))
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_to_be_ignored_is_not_read(tmp_path: Path) -> None:
    data = dataset(touch(tmp_path, *SPLIT, "external/a/1.png", "train/a/masks/1.png"), ignore=["external", "*/masks"])
    assert counted(list_sources(data)) == SPLIT_COUNTS


def test_the_tree_gives_splits_classes_numbers_and_reasons(tmp_path: Path) -> None:
    data = dataset(touch(tmp_path, *SPLIT, "train/b/2.png", "notes.txt"))
    listing = read_listing(data)
    assert tree_lines(data, listing, ["a", "b"]) == [
        f"{tmp_path}: 7 images, 2 classes, its own split into train, val, test",
        "  train: a 1, b 2",
        "  val: a 1, b 1",
        "  test: a 1, b 1",
        "  ignored 1 file, not an image by its name (.txt): notes.txt",
    ]


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    data = dataset(touch(tmp_path, "10/1.png", "2/1.png", "1/1.png"))
    assert class_order(data, list_sources(data)) == ["1", "2", "10"]


# Labels


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        ({"KL3": "severe", "KL4": "severe"}, {"KL0": 1, "severe": 2}),
        ({"KL4": None}, {"KL0": 1, "KL3": 1}),
    ],
)
def test_labels_are_merged_and_left_out(tmp_path: Path, labels: dict, counts: dict[str, int]) -> None:
    root = touch(tmp_path, "KL0/1.png", "KL3/1.png", "KL4/1.png")
    assert counted(list_sources(dataset(root, labels=labels))) == counts


def test_an_unknown_label_in_the_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BonexrayError, match=r"^dataset\.labels: expected labels of the data: a, b, received c"):
        list_sources(dataset(touch(tmp_path, "a/1.png", "b/1.png"), labels={"c": "a"}))


def test_classes_in_yaml_may_be_whole_numbers_but_nothing_that_yaml_changes(tmp_path: Path) -> None:
    root = touch(tmp_path, "0/1.png", "1/1.png")
    assert class_order(dataset(root, classes=[1, 0]), []) == ["1", "0"]
    for value in (True, 1.5):
        with pytest.raises(ValueError, match="quotes"):
            dataset(root, classes=[value, "b"])


# Links


def linked(root: Path, *links: tuple[str, str]) -> Path:
    for place, target in links:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(target)
    return root


def test_a_link_to_a_folder_inside_is_followed_and_read_once(tmp_path: Path) -> None:
    root = linked(
        touch(tmp_path, "a/1.png", "b/1.png", "store/c/1.png", ".hidden/d/1.png"), ("c", "store/c"), ("d", ".hidden/d")
    )
    listing = read_listing(dataset(root))
    assert counted(listing.sources) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert {source.path for source in listing.sources} == {"a/1.png", "b/1.png", "c/1.png", "d/1.png"}


def test_a_split_may_be_a_link(tmp_path: Path) -> None:
    root = linked(touch(tmp_path, *SPLIT[:4], ".store/test/a/1.png", ".store/test/b/1.png"), ("test", ".store/test"))
    assert counted(list_sources(dataset(root))) == SPLIT_COUNTS


@pytest.mark.parametrize("target", ["..", ".", "../a"])
def test_a_link_to_a_folder_that_holds_it_ends(tmp_path: Path, target: str) -> None:
    root = linked(touch(tmp_path, "a/1.png", "b/1.png"), ("a/loop", target))
    listing = read_listing(dataset(root))
    assert counted(listing.sources) == {"a": 1, "b": 1}
    assert any("a/loop" in note for note in listing.notes)


def test_a_link_out_of_the_root_is_refused_or_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "1.png", "deep/2.png")
    root = linked(touch(tmp_path / "root", "a/1.png", "b/1.png"), ("c", "../elsewhere"))
    with pytest.raises(BonexrayError, match=r"^c: .*a link out of it, to .*elsewhere.*dataset\.links=follow"):
        list_sources(dataset(root))
    data = dataset(root, links="follow")
    assert counted(list_sources(data)) == {"a": 1, "b": 1, "c": 2}
    for follow, words in ((True, "it looks like text"), (False, "a link that leaves the dataset's folder")):
        (item,) = audit_images(root, [Source("c/1.png", "c", None, None)], LOCAL, follow=follow)
        assert words in item.reason


@pytest.mark.parametrize(
    ("target", "words"),
    [("a", "a link to a, which would be read twice"), ("nowhere", "leads nowhere"), ("c", "leads nowhere")],
)
def test_a_link_that_gives_no_class_of_its_own_is_refused(tmp_path: Path, target: str, words: str) -> None:
    root = linked(touch(tmp_path, "a/1.png", "b/1.png"), ("c", target))
    with pytest.raises(BonexrayError, match=rf"^c: .*{words}"):
        list_sources(dataset(root))


def test_a_link_that_was_stored_as_text_is_refused(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.png", "b/1.png")
    (root / "c").write_text("../elsewhere/c")
    with pytest.raises(BonexrayError, match=r"^c: .*a link to \.\./elsewhere/c stored as text"):
        list_sources(dataset(root))


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, scandir = touch(tmp_path, "a/1.png", "b/1.png", "c/1.png"), os.scandir

    def forbidden(path: str):
        if str(path).endswith("c"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(BonexrayError, match=r"^c: expected a folder that can be read, received Permission denied"):
        list_sources(dataset(root))


# Any folders

PARTS = [
    "train",
    "Test",
    "val",
    "dev",
    "a",
    "A",
    "b ",
    "1",
    "01",
    "__MACOSX",
    "images",
    "e\u0301",
    "x" * 90,
    ".git",
    "a\nb",
    " ",
]
FILES = ["1.png", "2.dcm", "IM1", "notes.txt", "Thumbs.db", "._1.png", "a\rb.png"]


@limits(max_examples=80, deadline=None)
@given(
    paths=st.lists(st.tuples(st.lists(st.sampled_from(PARTS), max_size=4), st.sampled_from(FILES)), max_size=9),
    links=st.lists(
        st.tuples(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3), st.sampled_from(PARTS)), max_size=2
    ),
)
def test_any_folders_give_each_image_once_or_one_line(paths: list, links: list) -> None:
    with TemporaryDirectory() as folder:
        root = touch(Path(folder), *("/".join([*parts, name]) for parts, name in paths))
        for parts, target in links:
            place = root.joinpath(*parts)
            with suppress(OSError):  # something else is there
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(root / target)
        data = dataset(root)
        try:
            listing = read_listing(data)
        except BonexrayError as error:
            assert "\n" not in str(error)
            return
        files = [os.path.realpath(root / source.path) for source in listing.sources]
        assert len(set(files)) == len(files)
        assert all(Path(file).is_file() for file in files)
        assert not [line for line in tree_lines(data, listing, class_order(data, listing.sources)) if "\n" in line]
