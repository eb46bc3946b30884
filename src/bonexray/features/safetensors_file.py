"""Tensors of a file in the safetensors format, read one by one: a file may hold more than its backbone needs."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bonexray.base.errors import BonexrayError

SUFFIX = ".safetensors"


class Tensors(Mapping[str, np.ndarray]):
    """Arrays by name; each is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            BonexrayError: it is damaged, or of another format.
        """
        import ml_dtypes  # noqa: F401  of Keras, and teaches NumPy bfloat16
        from safetensors import SafetensorError, safe_open  # an extra, see `require_safetensors`

        try:
            self._file = safe_open(path, framework="numpy")
        except SafetensorError as error:
            raise BonexrayError(
                str(path),
                expected="tensors in the safetensors format",
                received=" ".join(str(error).split())[:200],
                do="get the file again from its publisher",
            ) from None
        self._names = frozenset(self._file.keys())

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def require_safetensors(name: str, path: Path | str) -> None:
    """Raise an error if the weights of a backbone are in the safetensors format and nothing reads it.

    Raises:
        BonexrayError: the package `safetensors` is missing.
    """
    if Path(path).suffix == SUFFIX and find_spec("safetensors") is None:
        raise BonexrayError(
            f"weights of {name}",
            expected="the package safetensors, which reads their file",
            received="it is not installed",
            do="run `pip install 'bonexray[encoders]'`, or set weights.source=random",
        )
