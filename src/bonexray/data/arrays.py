"""Arrays in .npy files, read and written a few rows at a time, so that memory follows the batch."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bonexray.base.errors import BonexrayError


class ArrayFile:
    """An array in a .npy file, of which only the rows asked for are read.

    Attributes:
        shape: of the whole array.
        dtype: of its numbers.

    Raises:
        BonexrayError: the file is truncated, or not in C order.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        with self._path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            self.shape, fortran_order, self.dtype = np.lib.format.read_array_header_1_0(stream)
            header_bytes = stream.tell()
        expected = header_bytes + math.prod(self.shape) * self.dtype.itemsize
        received = self._path.stat().st_size
        if fortran_order or received != expected:
            raise BonexrayError(
                str(path),
                expected=f"{expected} bytes in C order",
                received=f"{received} bytes in {'Fortran' if fortran_order else 'C'} order",
                do="delete it; `dvc repro` writes it again",
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """Return a copy of the rows that NumPy would give for the same index."""
        # Opened for each read: the pages of a map that stays open count as memory of the process.
        return np.array(np.load(self._path, mmap_mode="r")[rows])


@contextmanager
def rows_of(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a .npy file of 32-bit floats; yield a function that appends rows to it.

    Args:
        path: of the file.
        shape: of the whole array.
    """
    with path.open("wb") as stream:
        header = {"descr": np.dtype(np.float32).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        yield lambda rows: stream.write(np.ascontiguousarray(rows, np.float32).tobytes())
