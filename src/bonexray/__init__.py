"""bonexray: compare networks on bone X-rays fairly and reproducibly."""

import os
from importlib import import_module

_MODULES = {"Predictor": "bonexray.serving.predictor", "XRayClassifier": "bonexray.experiment.classifier"}
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's start-up notes; has no effect after its import
__all__ = ["Predictor", "XRayClassifier"]


def __getattr__(name: str) -> object:
    """Import a class on first use, so that `import bonexray` loads neither Keras nor pandas."""
    if name not in _MODULES:
        raise AttributeError(f"module 'bonexray' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Include the classes that are not imported yet."""
    return sorted({*globals(), *__all__})
