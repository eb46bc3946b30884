"""ONNX and TensorFlow Lite files of a network, and functions that run them.

Only this module and `runtime` import TensorFlow.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import keras
import numpy as np

from bonexray.base.errors import BonexrayError

FORMATS = {"onnx": "model.onnx", "tflite": "model.tflite", "tflite-int8": "model.int8.tflite"}
OPSET = 18  # of ONNX; fixed, because the converter's default changes with its version
Runner = Callable[[np.ndarray], np.ndarray]


def write_onnx(network: keras.Model, path: Path) -> None:
    """Write a network as ONNX.

    Args:
        network: image (batch, px, px, 1) to probabilities.
        path: the file to write.

    Raises:
        BonexrayError: the converter is not installed.
    """
    _require("tf2onnx", "onnx")
    network(np.zeros((1, *network.input_shape[1:]), np.float32))  # Keras exports only a network that was called
    with _quiet():
        network.export(path, format="onnx", verbose=False, opset_version=OPSET)


def write_tflite(network: keras.Model, path: Path, calibration: np.ndarray | None = None) -> None:
    """Write a network as TensorFlow Lite, in 32 bits or quantised to 8 bits.

    Args:
        network: image (batch, px, px, 1) to probabilities.
        path: the file to write.
        calibration: float32 (images, px, px), training images that give the value range of each layer in 8 bits; None
            writes 32 bits.
    """
    import tensorflow as tf

    with _quiet(), tempfile.TemporaryDirectory() as saved:
        network.export(saved, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved)
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[None, ..., None]] for image in calibration)
        path.write_bytes(converter.convert())


def onnx_runner(path: Path) -> Runner:
    """Return a function that runs an ONNX file on images (batch, px, px, 1).

    Raises:
        BonexrayError: ONNX Runtime is not installed.
    """
    _require("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def tflite_runner(path: Path) -> Runner:
    """Return a function that runs a TensorFlow Lite file on images (batch, px, px, 1)."""
    import tensorflow as tf

    resolvers = tf.lite.experimental.OpResolverType
    fast, plain = (
        _Interpreter(tf, path, kind) for kind in (resolvers.AUTO, resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    )

    def run(images: np.ndarray) -> np.ndarray:
        try:
            return fast(images)
        except RuntimeError:  # the fast kernels refuse the very small numbers of random backbones
            return plain(images)

    return run


class _Interpreter:
    """TensorFlow Lite's interpreter, which allocates tensors again only when the size of the batch changes."""

    def __init__(self, tf: ModuleType, path: Path, kernels: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # TensorFlow recommends a package that it does not install
            self._interpreter = tf.lite.Interpreter(
                str(path), num_threads=os.cpu_count(), experimental_op_resolver_type=kernels
            )
        self._entry, self._result = (
            details[0]["index"]
            for details in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )
        self._shape: tuple[int, ...] = ()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if self._shape != images.shape:
            self._interpreter.resize_tensor_input(self._entry, images.shape)
            self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(self._entry, images)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._result).copy()


def _require(*packages: str) -> None:
    for package in packages:
        try:
            __import__(package)
        except ImportError:
            raise BonexrayError(
                "--format onnx", expected=package, received="it is not installed", do="pip install 'bonexray[onnx]'"
            ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the converters' messages."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
