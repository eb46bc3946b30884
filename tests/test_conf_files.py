"""The files of settings that people edit by hand: whatever is in them, a command says in one line what to correct."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from bonexray.base.errors import BonexrayError
from bonexray.check import inspect
from bonexray.kept_settings import KEPT, differing_settings, keep, kept

ROOT = Path(__file__).parents[1]
PARAMS, CONFIG, FOLDER = Path("params.yaml"), Path("conf/config.yaml"), Path("conf/dataset/folder.yaml")


@pytest.fixture(scope="module", autouse=True)
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A checkout's settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        renew()
        yield


def renew() -> None:
    shutil.rmtree("conf", ignore_errors=True)
    shutil.copytree(ROOT / "conf", "conf", ignore=shutil.ignore_patterns("local", "tuned"))
    shutil.copyfile(ROOT / "params.yaml", PARAMS)


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


# What a check and `bonexray use` say

HEAD = b"# @package _global_\n"
BROKEN = {
    "a list that does not end": (KEPT, b"a: [", r"^conf/local/study\.yaml: expected YAML, .*line 2"),
    "no UTF-8": (KEPT, b"\xff\xfe\0", r"^conf/local/study\.yaml: expected YAML, received 'utf-8'"),
    "a tab": (KEPT, b"train:\n\tepochs: 3", r"^conf/local/study\.yaml: expected YAML, .*line 2"),
    "a key twice": (KEPT, b"a: 1\na: 2", r"^conf/local/study\.yaml: expected YAML, .*duplicate key"),
    "an object": (KEPT, b"!!python/object:os.system x", r"^conf/local/study\.yaml: expected YAML"),
    "a number": (KEPT, b"3", r"^conf/local/study\.yaml: expected sections, received int"),
    "no list of choices": (KEPT, HEAD + b"defaults: 3", r"^conf/local/study\.yaml: defaults: expected choices"),
    "no choices": (KEPT, HEAD + b"defaults: [3]", r"^conf/local/study\.yaml: defaults: expected choices"),
    "an unknown choice": (KEPT, HEAD + b"defaults:\n- override /nope: x", r"^conf/: .*Could not override 'nope'"),
    "an alias of itself": (KEPT, HEAD + b"a: &a [*a]", r"^conf/: .*recursion"),
    "without its first line": (
        KEPT,
        b"train:\n  epochs: 3",
        r"^conf/local/study\.yaml: .*begin the file with `# @pack",
    ),
    "conflict": (CONFIG, b"<<<<<<< HEAD\na: 1\n=======\n", r"^conf/config\.yaml: expected YAML"),
    "a list": (CONFIG, b"[]", r"^conf/: expected settings that Hydra composes, .*must be a DictConfig"),
    "a value for a section": (CONFIG, b"train: 3", r"^train: expected a valid dictionary"),
    "another file": (FOLDER, b"name: [", r"^conf/dataset/folder\.yaml: expected YAML"),
}


@pytest.mark.parametrize(("file", "content", "words"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_used_is_named_in_one_line(file: Path, content: bytes, words: str) -> None:
    renew()
    write(file, content)
    before = PARAMS.read_bytes()
    commands = [lambda: keep(["dataset=folder"])] if file == FOLDER else [lambda: (kept(), differing_settings())]
    for command in commands:
        with pytest.raises(BonexrayError, match=words) as refused:
            command()
        assert "\n" not in str(refused.value)
    assert PARAMS.read_bytes() == before


def test_a_file_of_comments_keeps_nothing() -> None:
    renew()
    write(KEPT, HEAD)
    assert kept() == [] and differing_settings() == {}


def test_a_setting_of_a_section_that_is_none_is_refused() -> None:
    renew()
    write(KEPT, HEAD + b"train: 3")
    with pytest.raises(
        BonexrayError, match=r"train\.epochs: expected train to be a section, received 3; .*--drop train"
    ):
        keep(["train.epochs=4"])


@pytest.mark.parametrize(
    "content", [b"<<<<<<< HEAD\ntrain: 1\n=======\n", b"", b"3", b"\xff", b"a: &a [*a]", b"dataset: 3"]
)
def test_params_that_cannot_be_read_are_composed_anew(content: bytes) -> None:
    renew()
    write(PARAMS, content)
    (finding, *_) = inspect(PARAMS).findings
    assert str(finding).startswith("params.yaml") and "\n" not in str(finding)
    assert keep(["train.epochs=15"]) == ["train.epochs=15"]
    assert PARAMS.read_bytes() == (ROOT / "params.yaml").read_bytes()


# Any content

WORDS = [
    "train",
    "epochs",
    "defaults",
    "dataset",
    "override /dataset",
    "folder",
    "model",
    "all",
    "${x}",
    "_self_",
    "external",
]
PART = st.sampled_from([*WORDS, None, True, 3, -1.5, "", "é", "2020-01-01"])
TREE = st.recursive(
    PART, lambda part: st.lists(part, max_size=2) | st.dictionaries(PART, part, max_size=2), max_leaves=6
)
CONTENT = st.one_of(
    st.binary(max_size=40),
    st.tuples(st.sampled_from([b"", HEAD]), TREE.map(lambda tree: repr(tree).replace("None", "null").encode())).map(
        b"".join
    ),
)
OVERRIDE = st.tuples(
    st.sampled_from(["", "+", "++", "~"]),
    st.lists(st.sampled_from([*WORDS, "é", "", "nope"]), min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "="]),
    st.sampled_from(
        ["", "3", "null", "folder", "[", "[a]", "{a: b}", "1,2", "${", "${x}", "${oc.env:NO}", "'", "1e400", "x y"]
    ),
).map("".join)


@limits(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(KEPT, b"", ["dataset={name: x}"])
@example(KEPT, b"", ["defaults=3"])
@given(file=st.sampled_from([KEPT, CONFIG, FOLDER, PARAMS]), content=CONTENT, overrides=st.lists(OVERRIDE, max_size=2))
def test_any_content_and_any_override_is_taken_or_refused_in_one_line(
    file: Path, content: bytes, overrides: list[str]
) -> None:
    renew()
    write(file, content)
    for command in (lambda: inspect(PARAMS).findings, kept, differing_settings, lambda: keep(overrides)):
        try:
            command()
        except BonexrayError as error:
            assert "\n" not in str(error) and "; " in str(error)
