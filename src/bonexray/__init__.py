"""bonexray: leak-free, reproducible comparison of networks on bone X-rays."""

__all__ = ["XRayClassifier"]


def __getattr__(name: str) -> object:
    """`from bonexray import XRayClassifier`, without a cost to what imports other parts."""
    if name == "XRayClassifier":
        from bonexray.experiment.classifier import XRayClassifier

        return XRayClassifier
    raise AttributeError(f"module 'bonexray' has no attribute {name!r}")
