"""Arrays in files: the rows that NumPy gives, in memory that depends on the batch alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bonexray.base.errors import BonexrayError
from bonexray.data.arrays import ArrayFile, rows_of

MB = 2**20
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
ANY_BITS = hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=True, allow_subnormal=True))
OTHER_NUMBERS = hnp.arrays(st.sampled_from([np.float64, np.int16, np.uint8, bool]), SHAPES)
ARRAYS = st.one_of(ANY_BITS, OTHER_NUMBERS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a path that every example overwrites."""
    return tmp_path_factory.mktemp("arrays") / "array.npy"


def row_numbers(rows: int) -> st.SearchStrategy[list[int]]:
    """Draw row numbers in any order, with repetitions and negative numbers."""
    return st.lists(st.integers(-rows, rows - 1), max_size=9) if rows else st.just([])


def require_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.tobytes() == expected.tobytes()


@given(array=ARRAYS)
def test_a_file_has_the_shape_type_and_length_of_its_array(file: Path, array: np.ndarray) -> None:
    np.save(file, array)
    found = ArrayFile(file)
    assert (found.shape, found.dtype, len(found)) == (array.shape, array.dtype, len(array))


@given(data=st.data(), array=ARRAYS)
def test_rows_by_number_are_those_of_numpy(file: Path, data: st.DataObject, array: np.ndarray) -> None:
    np.save(file, array)
    rows = np.array(data.draw(row_numbers(len(array))), int)
    require_same(ArrayFile(file)[rows], array[rows])


@given(data=st.data(), array=ARRAYS)
def test_rows_by_slice_are_those_of_numpy(file: Path, data: st.DataObject, array: np.ndarray) -> None:
    np.save(file, array)
    rows = data.draw(st.slices(len(array)))
    require_same(ArrayFile(file)[rows], array[rows])


@given(data=st.data(), array=ARRAYS.filter(len))
def test_one_row_is_that_of_numpy(file: Path, data: st.DataObject, array: np.ndarray) -> None:
    np.save(file, array)
    row = data.draw(st.integers(-len(array), len(array) - 1))
    require_same(np.asarray(ArrayFile(file)[row]), np.asarray(array[row]))


@pytest.mark.parametrize("row", [3, -4])
def test_a_missing_row_raises_an_index_error(file: Path, row: int) -> None:
    np.save(file, np.zeros((3, 2)))
    with pytest.raises(IndexError):
        ArrayFile(file)[np.array([0, row])]


def test_a_truncated_file_is_refused(file: Path) -> None:
    np.save(file, np.zeros((3, 2), np.float32))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BonexrayError, match="expected 152 bytes in C order, received 151 bytes in C order"):
        ArrayFile(file)


def test_a_file_in_fortran_order_is_refused(file: Path) -> None:
    np.save(file, np.asfortranarray(np.zeros((3, 2))))
    with pytest.raises(BonexrayError, match="in Fortran order"):
        ArrayFile(file)


def test_the_rows_are_a_copy(file: Path) -> None:
    np.save(file, np.zeros((3, 2)))
    array = ArrayFile(file)
    array[:][0] = 1
    assert not array[:].any()


@given(data=st.data(), array=ANY_BITS)
def test_numpy_loads_rows_written_in_parts(file: Path, data: st.DataObject, array: np.ndarray) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(array)), max_size=4)))
    with rows_of(file, array.shape) as append:
        for part in np.split(array, cuts):
            append(part)
    require_same(np.load(file), array)
    require_same(ArrayFile(file)[:], array)


def test_rows_are_written_as_32_bit_floats(file: Path) -> None:
    numbers = np.arange(12).reshape(4, 3)
    with rows_of(file, (4, 3)) as append:
        append(numbers[:1].astype(np.float64))
        append(np.asfortranarray(numbers[1:]))
    require_same(np.load(file), numbers.astype(np.float32))


MEASURED = """
import re, sys
from pathlib import Path
import numpy as np
from bonexray.data.arrays import ArrayFile, rows_of

def peak():  # resource.getrusage starts from the memory of the parent process
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

path, before = Path(sys.argv[1]), peak()
{action}
print(peak() - before)
"""
WRITE = """
with rows_of(path, (800, 256, 256)) as append:
    for row in range(800):
        append(np.ones((1, 256, 256)))
"""
READ = """
array = ArrayFile(path)
for start in range(0, len(array), 16):
    array[np.arange(start, start + 16)].sum()
"""
READ_AT_ONCE = "np.load(path).sum()"


def growth_of(action: str, path: Path) -> int:
    """Return the bytes by which an action raises the peak memory of a new process."""
    command = [sys.executable, "-c", MEASURED.format(action=action), str(path)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_depend_on_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    assert growth_of(WRITE, path) < 60 * MB
    assert path.stat().st_size > 200 * MB
    assert growth_of(READ, path) < 60 * MB
    assert growth_of(READ_AT_ONCE, path) > 190 * MB, "the measure does not see memory"
