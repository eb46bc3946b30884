"""Tensors of a PyTorch checkpoint, read without PyTorch and without running what the file says.

A checkpoint is a pickle, and a pickle may call any function that it names. This reader resolves the few names that
tensors need to plain records and refuses all others.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from bonexray.base.errors import BonexrayError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the format that PyTorch wrote before 1.6
DAMAGE = (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError)


class _Storage(NamedTuple):
    """An array of numbers in the file, of which tensors are views."""

    key: str
    dtype: np.dtype
    count: int


class _Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_gradient: object) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


NAMES = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _TensorsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"the name {module}.{name}, which no tensor needs")
        return NAMES[module, name]

    def persistent_load(self, reference: tuple) -> _Storage:
        _kind, dtype, key, _device, count, _view = reference
        return _Storage(key, dtype, count)


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a checkpoint that PyTorch wrote before 1.6.

    Args:
        path: file of a state dictionary.

    Returns:
        Arrays by name.

    Raises:
        BonexrayError: the file is no such checkpoint, is damaged, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except DAMAGE as error:
        raise BonexrayError(
            str(path),
            expected="a PyTorch checkpoint of tensors alone",
            received=" ".join(str(error).split())[:200],
            do="use the publisher's file",
        ) from None


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read five pickles (magic number, version, machine, tensors, order of the storages) and then the numbers."""
    if (_load(file), _load(file)) != (MAGIC, PROTOCOL):
        raise ValueError("another format")
    _load(file)
    state, keys = _load(file), _load(file)
    if not isinstance(state, dict) or not all(isinstance(tensor, _Tensor) for tensor in state.values()):
        raise ValueError("something other than tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    return {name: _view(tensor, numbers[tensor.storage.key]) for name, tensor in state.items()}


def _load(file: BinaryIO) -> object:
    return _TensorsOnly(file).load()


def _numbers(file: BinaryIO, storage: _Storage) -> np.ndarray:
    if int.from_bytes(file.read(8), "little") != storage.count:
        raise ValueError("a storage of another length")
    return np.frombuffer(file.read(storage.count * storage.dtype.itemsize), storage.dtype, storage.count)


def _view(tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """Return a copy of a view; NumPy refuses one that exceeds its storage."""
    step = numbers.itemsize
    strides = [step * stride for stride in tensor.strides]
    return np.ndarray(tensor.shape, numbers.dtype, numbers.data, step * tensor.offset, strides).copy()
