"""Test the reading of PyTorch checkpoints: tensors are read, and whatever else a pickle may do is refused."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bonexray.base.errors import BonexrayError
from bonexray.features.checkpoint import MAGIC, PROTOCOL, read_checkpoint

NUMBERS = np.arange(6, dtype="<f4")


def pushed(value: object) -> bytes:
    """Return the opcodes of a pickle that push a value on its stack."""
    return pickle.dumps(value, 2)[2:-1]


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def tensor(shape: Sequence[int] = (2, 3), strides: Sequence[int] = (3, 1), offset: int = 0, count: int = 6) -> bytes:
    storage = pushed("storage") + named("torch", "FloatStorage") + pushed("7") + pushed("cpu") + pushed(count) + b"N"
    view = pushed(offset) + pushed(tuple(shape)) + pushed(tuple(strides)) + pushed(False)
    hooks = named("collections", "OrderedDict") + b")R"
    return named("torch._utils", "_rebuild_tensor_v2") + b"((" + storage + b"tQ" + view + hooks + b"tR"


def call(module: str, name: str, argument: object) -> bytes:
    """Return the opcodes of a call of a function."""
    return named(module, name) + b"(" + pushed(argument) + b"tR"


def state(value: bytes) -> bytes:
    return b"\x80\x02}" + pushed("weight") + value + b"s."


def checkpoint(content: bytes, numbers: np.ndarray = NUMBERS, magic: bytes = pickle.dumps(MAGIC, 2)) -> bytes:
    """Return a file as PyTorch wrote it before 1.6."""
    start = magic + pickle.dumps(PROTOCOL, 2) + pickle.dumps({"little_endian": True}, 2)
    return start + content + pickle.dumps(["7"], 2) + len(numbers).to_bytes(8, "little") + numbers.tobytes()


VIEWS = {
    "all": (tensor(), NUMBERS.reshape(2, 3)),
    "transposed": (tensor((3, 2), (1, 3)), NUMBERS.reshape(2, 3).T),
    "a part": (tensor((2,), (1,), offset=4), NUMBERS[4:]),
    "a number": (tensor((), ()), NUMBERS[0]),
}


@pytest.mark.parametrize(("content", "expected"), VIEWS.values(), ids=VIEWS)
def test_a_tensor_is_read_as_the_view_that_it_is(content: bytes, expected: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(checkpoint(state(content)))
    tensors = read_checkpoint(file)
    assert list(tensors) == ["weight"]
    assert np.array_equal(tensors["weight"], expected)


FORBIDDEN = {
    "a command": ("posix", "system", "touch ran"),
    "code": ("builtins", "exec", "open('ran', 'w')"),
    "an attribute": ("operator", "attrgetter", "system"),
    "a file": ("pathlib", "Path", "ran"),
    "PyTorch's own loader": ("torch.storage", "_load_from_bytes", b"1"),
}


@pytest.mark.parametrize("forbidden", FORBIDDEN.values(), ids=FORBIDDEN)
@pytest.mark.parametrize("place", ["a tensor", "the magic number", "the whole state"])
def test_a_checkpoint_that_calls_anything_else_is_refused_unrun(
    forbidden: tuple[str, str, object], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = call(*forbidden)
    files = {
        "a tensor": checkpoint(state(hostile)),
        "the magic number": checkpoint(state(tensor()), magic=b"\x80\x02" + hostile + b"."),
        "the whole state": checkpoint(b"\x80\x02" + hostile + b"."),
    }
    file = tmp_path / "a.pth"
    file.write_bytes(files[place])
    with pytest.raises(BonexrayError, match=rf"a\.pth: expected .*, received the name {'.'.join(forbidden[:2])}"):
        read_checkpoint(file)
    assert not Path("ran").exists()


DAMAGED = {
    "empty": b"",
    "text": b"not weights",
    "the format since 1.6": b"PK\x03\x04" + bytes(60),
    "other magic": checkpoint(state(tensor()), magic=pickle.dumps(1, 2)),
    "cut short": checkpoint(state(tensor()))[:-1],
    "another length": checkpoint(state(tensor()), NUMBERS[:5]),
    "a view before the storage": checkpoint(state(tensor(offset=-1))),
    "a view beyond the storage": checkpoint(state(tensor(offset=1))),
    "a stride beyond the storage": checkpoint(state(tensor(strides=(4, 1)))),
    "a negative side": checkpoint(state(tensor(shape=(-2, 3)))),
    "another kind of number": checkpoint(state(tensor().replace(b"FloatStorage", b"HalfStorage "))),
    "no tensor": checkpoint(state(pushed(1))),
    "no state": checkpoint(pickle.dumps([1], 2)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(content)
    with pytest.raises(BonexrayError, match="expected a PyTorch checkpoint of tensors alone") as refusal:
        read_checkpoint(file)
    assert "\n" not in str(refusal.value)
