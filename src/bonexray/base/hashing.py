"""Hashes of files and of settings."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from bonexray.base.files import plain


def sha256_of(path: Path | str) -> str:
    """Return the SHA-256 of a file in hexadecimal; the file is read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(content: Mapping[str, object]) -> str:
    """Return the SHA-256 of a mapping, which does not depend on the order of its keys."""
    text = json.dumps(plain(content), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
