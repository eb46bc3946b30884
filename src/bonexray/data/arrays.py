"""Rows of an array in a file, read and written a few at a time, so that memory follows the batch.

A memory map would do the same in fewer lines, but its pages count as the process's memory until it ends.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bonexray.errors import BonexrayError

IMAGES = Path("data/prepared/images.npy")  # what the networks see: float32 (images, img_px, img_px) in [0, 1]


class ArrayFile:
    """A .npy file as an array whose first axis is read row by row.

    Attributes:
        shape: of the whole array.
        dtype: of its numbers.

    Raises:
        BonexrayError: the file is cut short, or not in C order.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        with self._path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            self.shape, fortran, self.dtype = np.lib.format.read_array_header_1_0(stream)
            self._start = stream.tell()
        expected = self._start + math.prod(self.shape) * self.dtype.itemsize
        found = self._path.stat().st_size
        if fortran or found != expected:
            raise BonexrayError(
                str(path),
                expected=f"{expected} bytes in C order",
                received=f"{found} bytes in {'Fortran' if fortran else 'C'} order",
                do="delete it; `dvc repro` makes it anew",
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """The rows that NumPy would give for the same index."""
        chosen = np.arange(len(self))[rows]
        found = np.empty((chosen.size, *self.shape[1:]), self.dtype)
        length = found.nbytes // max(chosen.size, 1)
        content = memoryview(found.reshape(-1).view(np.uint8))
        with self._path.open("rb", buffering=0) as stream:
            for place, row in enumerate(chosen.ravel()):
                stream.seek(self._start + int(row) * length)
                stream.readinto(content[place * length : (place + 1) * length])
        return found.reshape((*chosen.shape, *self.shape[1:]))


@contextmanager
def rows_of(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a .npy file of 32-bit floats; yields a function that appends rows.

    Args:
        path: the file.
        shape: of the whole array.
    """
    with path.open("wb") as stream:
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        yield lambda rows: stream.write(np.ascontiguousarray(rows, np.float32).tobytes())
