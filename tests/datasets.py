"""Datasets on disk whose files are no images: enough for what is read before any pixel."""

from collections import Counter
from pathlib import Path

from bonexray.dataset.settings import Dataset
from bonexray.dataset.source import Source


def dataset(root: Path, **changes: object) -> Dataset:
    return Dataset.model_validate({"name": "folder", "root": str(root), "inputs": [str(root)], **changes})


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def counted(sources: list[Source]) -> dict[str, int]:
    """Return the number of images by split and class, as `train/a`; by class where there is no split."""
    return dict(Counter(f"{source.split}/{source.label}" if source.split else source.label for source in sources))
