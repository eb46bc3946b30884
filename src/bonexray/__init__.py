"""bonexray: compare networks on bone X-rays fairly and reproducibly."""

import os
from importlib import import_module

_MODULES = {"Predictor": "bonexray.serving.predictor", "XRayClassifier": "bonexray.experiment.classifier"}
# Read by TensorFlow at its import. oneDNN trains a network of convolutions in about half the time, on processors too for
# which TensorFlow does not turn it on by itself.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides its start-up notes
__all__ = ["Predictor", "XRayClassifier"]


def __getattr__(name: str) -> object:
    """Import a class on first use, so that `import bonexray` loads neither Keras nor pandas."""
    if name not in _MODULES:
        raise AttributeError(f"module 'bonexray' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Include the classes that are not imported yet."""
    return sorted({*globals(), *__all__})
