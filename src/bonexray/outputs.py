"""Outputs that are there whole or not at all, and the hashes that name them."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HEADLINE = Path("metrics/headline.json")  # what the study found; read by all that comes after it
PARTIAL = ".partial"  # named in .gitignore and .dvcignore: what a killed run leaves is never an output


def main_repository() -> Path:
    """The repository itself, also when an experiment runs in a copy of it."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


@contextmanager
def whole_folder(target: Path | str) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` when the block ends without an error."""
    target = Path(target)
    partial = target.with_name(target.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


@contextmanager
def whole_file(target: Path | str) -> Iterator[Path]:
    """Yield a path beside `target`, with its suffixes, that replaces it when the block ends without an error."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{PARTIAL}-{target.name}")
    yield partial
    partial.replace(target)


def write_json(target: Path | str, content: Mapping[str, object]) -> None:
    """Write `content` with its keys in the given order; a number that is not finite becomes null."""
    with whole_file(target) as partial:
        partial.write_text(json.dumps(_plain(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(source: Path | str) -> dict:
    """Read what `write_json` wrote."""
    return json.loads(Path(source).read_text(encoding="utf-8"))


def with_section(text: str, begin: str, end: str, content: str) -> str:
    """A document with the lines between two markers replaced."""
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n{content}\n{end}{after}"


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(content: Mapping[str, object]) -> str:
    """SHA-256 of a mapping's content, whatever the order of its keys."""
    text = json.dumps(_plain(content), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
