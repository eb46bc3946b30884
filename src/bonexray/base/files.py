"""Atomic writing of files and folders, and JSON."""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"  # in .gitignore and .dvcignore, so that an interrupted run leaves no output


@contextmanager
def atomic_folder(target: Path | str) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` when the block ends without an error."""
    target = Path(target)
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


@contextmanager
def atomic_file(target: Path | str) -> Iterator[Path]:
    """Yield a path with the suffixes of `target`, which replaces it when the block ends without an error."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{PARTIAL}-{target.name}")
    yield partial
    partial.replace(target)


def write_json(target: Path | str, content: Mapping[str, object]) -> None:
    """Write a mapping, its keys in the given order; NaN and infinity become null."""
    with atomic_file(target) as partial:
        partial.write_text(json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(source: Path | str) -> dict:
    """Return the content of a JSON file."""
    return json.loads(Path(source).read_text(encoding="utf-8"))


def plain(value: object) -> object:
    """Return a value converted to the types of JSON; NaN and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
