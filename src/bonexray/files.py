"""Files and folders that are written whole or not at all, and JSON."""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"  # in .gitignore and .dvcignore: what an interrupted run leaves is never an output


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
    """Yield a path beside `target`, with its suffixes, that replaces it when the block ends without an error."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{PARTIAL}-{target.name}")
    yield partial
    partial.replace(target)


def write_json(target: Path | str, content: Mapping[str, object]) -> None:
    """Write a mapping with its keys in the given order; a number that is not finite becomes null."""
    with atomic_file(target) as partial:
        partial.write_text(json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(source: Path | str) -> dict:
    """Return what `write_json` wrote."""
    return json.loads(Path(source).read_text(encoding="utf-8"))


def plain(value: object) -> object:
    """Return a value in the types that JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
