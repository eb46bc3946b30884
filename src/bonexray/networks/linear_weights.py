"""The weights file of a linear head, written without Keras."""

from pathlib import Path

import h5py
import numpy as np

from bonexray.registry import ORDINAL

# Where Keras looks for the variables of the layers `standardize` and `classes` in a `.weights.h5` file.
STANDARDIZE_VARIABLES, CLASSES_VARIABLES, ORDINAL_VARIABLES = (
    f"layers/{kind}/vars" for kind in ("standardize", "dense", "ordinal")
)


def write_linear_weights(
    path: Path,
    classes: tuple[np.ndarray, np.ndarray],
    scaling: tuple[np.ndarray, np.ndarray] | None,
    output: str = "softmax",
) -> None:
    """Write the weights of a linear head in the format in which the head of `build_head` saves and loads them.

    Keras is not used, because importing it takes longer than fitting the head.

    Args:
        path: a `.weights.h5` file.
        classes: kernel and bias of the layer, (width, outputs) and (outputs,) unless the output is `cumulative`.
        scaling: mean and standard deviation (width,) of each feature; None for a head that does not standardise.
        output: key of `OUTPUTS`, which decides the kind of layer.
    """
    layer = ORDINAL_VARIABLES if output in ORDINAL else CLASSES_VARIABLES
    with h5py.File(path, "w") as file:
        for group, arrays in ((STANDARDIZE_VARIABLES, scaling or ()), (layer, classes)):
            for number, array in enumerate(arrays):
                file.create_dataset(f"{group}/{number}", data=np.asarray(array, np.float32))
