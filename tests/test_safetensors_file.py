"""Test the reading of safetensors files: tensors one by one, and damage refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from bonexray.base.errors import BonexrayError
from bonexray.features import safetensors_file
from bonexray.features.published import require_at_hand
from bonexray.features.safetensors_file import Tensors, require_safetensors
from bonexray.features.settings import Weights

NUMBERS = np.arange(6, dtype="<f4").reshape(2, 3)


def content(dtype: str = "F32", shape: tuple = (2, 3), end: int = 24, data: bytes = NUMBERS.tobytes()) -> bytes:
    """Return a file of one tensor `a.weight`, laid out by hand: length of the header, header, numbers."""
    header = json.dumps({"a.weight": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}).encode()
    return len(header).to_bytes(8, "little") + header + data


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return path


def test_tensors_are_read_by_name(tmp_path: Path) -> None:
    tensors = Tensors(written(tmp_path, content()))
    assert list(tensors) == ["a.weight"] and len(tensors) == 1 and "b" not in tensors
    assert np.array_equal(tensors["a.weight"], NUMBERS)
    with pytest.raises(KeyError):
        tensors["b"]


def test_sixteen_bits_are_read_as_the_numbers_that_they_are(tmp_path: Path) -> None:
    half = NUMBERS.astype("<f2")
    assert np.array_equal(Tensors(written(tmp_path, content("F16", end=12, data=half.tobytes())))["a.weight"], NUMBERS)


def test_bfloat16_is_read_as_the_numbers_that_it_is(tmp_path: Path) -> None:
    brain = (NUMBERS.view("<u4") >> 16).astype("<u2")  # the upper half of 32 bits
    assert np.array_equal(
        Tensors(written(tmp_path, content("BF16", end=12, data=brain.tobytes())))["a.weight"], NUMBERS
    )


DAMAGED = {
    "empty": b"",
    "text": b"not weights at all",
    "a pickle": b"\x80\x02cposix\nsystem\nX\x09\x00\x00\x00touch ran\x85R.",
    "cut short": content()[:-1],
    "longer than its header says": content() + b"1",
    "a header beyond the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "a shape of another size": content(shape=(3, 3)),
    "an unknown kind of number": content(dtype="F33"),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BonexrayError, match="expected tensors in the safetensors format") as refusal:
        Tensors(written(tmp_path, data))
    assert "\n" not in str(refusal.value)
    assert not Path("ran").exists()


def test_without_the_package_published_files_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_file, "find_spec", lambda name: None)
    refused = r"weights of dinov2_small: expected the package safetensors.*pip install 'bonexray\[encoders\]'"
    with pytest.raises(BonexrayError, match=refused):
        require_at_hand("dinov2_small", Weights(source="imagenet"))
    require_at_hand("dinov2_small", Weights(source="random"))
    require_at_hand("vgg16", Weights(source="imagenet"))
    require_safetensors("vgg16", "a.h5")
