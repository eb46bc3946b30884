"""Links to files and folders: where they lead, and whether that is inside the dataset."""

import os
import re
from pathlib import Path

from bonexray.base.errors import BonexrayError

_DVC_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")
_MAX_LINK_BYTES = 4096  # longest path that a link can hold


def is_outside(root: Path, path: Path) -> bool:
    """Return whether a file is outside the root once links are followed; links into DVC's cache are allowed."""
    real = Path(os.path.realpath(path))  # unlike resolve(), no error for a link to itself
    return not real.is_relative_to(root.resolve()) and not _DVC_CACHE.search(real.as_posix())


def is_file(path: Path) -> bool:
    """Return whether a path, however long or odd, leads to a file."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path, however long or odd, leads to a folder."""
    try:
        return path.is_dir()
    except OSError:
        return False


def linked_as_text(path: Path) -> str | None:
    """Return the target of a link that Git, or a program without links, has stored as a text file; None for others."""
    if not path.is_file() or path.stat().st_size > _MAX_LINK_BYTES:
        return None
    try:
        target = path.read_bytes().decode("utf-8").strip()
    except (UnicodeDecodeError, OSError):
        return None
    if not target or "\0" in target or "\n" in target:
        return None
    leads = target.startswith(("./", "../")) or ("/" in target and is_folder(path.parent / target))
    return target if leads else None


def refused_link(place: str, received: str, do: str) -> BonexrayError:
    """Return the error for a link that is not followed.

    Args:
        place: path of the link, relative to the root.
        received: where it leads.
        do: what to do about it.
    """
    return BonexrayError(place, expected="a folder, or a link inside the dataset", received=received, do=do)
