"""Refusal of images that Git would keep: `dvc exp run` commits every file that is neither tracked nor ignored."""

import subprocess
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.dataset.settings import Dataset


def require_out_of_git(dataset: Dataset) -> None:
    """Check that no experiment commits the images; of use only at the root of a DVC repository.

    Raises:
        BonexrayError: Git neither tracks nor ignores a file of the dataset.
    """
    if not Path(".dvc").is_dir():
        return
    for path in filter(None, (dataset.root, dataset.csv)):
        if untracked := _untracked(path):
            raise BonexrayError(
                path,
                expected="images that DVC tracks or Git ignores, because `dvc exp run` commits all others",
                received=f"{untracked}, which Git neither tracks nor ignores",
                do=f"run `dvc add {path}`",
            )


def _untracked(path: str) -> str | None:
    """Return the first file or folder below a path that Git would commit; None without Git or outside its repository."""
    command = ["git", "status", "--porcelain", "-z", "--untracked-files=normal", "--", path]
    try:
        status = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        return None
    if status.returncode != 0:
        return None
    entries = [entry[3:] for entry in status.stdout.split("\0") if entry.startswith("?? ")]
    return entries[0] if entries else None
