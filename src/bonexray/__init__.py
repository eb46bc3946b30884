"""bonexray: leak-free, reproducible comparison of networks on bone X-rays."""

from importlib import import_module

_MODULES = {"Predictor": "bonexray.serving.predictor", "XRayClassifier": "bonexray.experiment.classifier"}
__all__ = ["Predictor", "XRayClassifier"]


def __getattr__(name: str) -> object:
    """Import a class when it is first asked for, so that `import bonexray` loads neither Keras nor pandas."""
    if name not in _MODULES:
        raise AttributeError(f"module 'bonexray' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Name the classes before they are imported too."""
    return sorted({*globals(), *__all__})
