"""Where a study's numbers come from: commit, versions and hashes; never a date, a host or a user."""

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ruamel.yaml import YAML

CODE = ("src", "stages", "conf", "params.yaml", "dvc.yaml")
PACKAGES = (
    "bonexray",
    "tensorflow",
    "keras",
    "keras-hub",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "scikit-image",
    "bm3d",
    "opencv-python-headless",
    "pillow",
    "pydicom",
    "matplotlib",
    "dvc",
    "Jinja2",
)
TRACKED = ("data/split/", "data/prepared", "models/")


@dataclass(frozen=True)
class Provenance:
    """What a study was made of.

    Attributes:
        commit: that last touched code or settings; None outside a Git repository.
        changed: files of code or settings that differ from that commit.
        versions: of Python and the packages that the numbers depend on.
        hashes: output, the hash DVC knows it by, and its size in bytes.
    """

    commit: str | None
    changed: tuple[str, ...]
    versions: dict[str, str]
    hashes: tuple[tuple[str, str, int], ...]


def provenance(root: Path | str = ".") -> Provenance:
    """Ask Git, the installed packages and dvc.lock."""
    root = Path(root)
    return Provenance(
        commit=_git(root, "log", "-1", "--format=%H"),
        changed=tuple(line[3:] for line in (_git(root, "status", "--porcelain") or "").splitlines()),
        versions=versions(),
        hashes=lock_hashes(root / "dvc.lock"),
    )


def versions() -> dict[str, str]:
    """Python and the installed packages of `PACKAGES`."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def lock_hashes(lock: Path) -> tuple[tuple[str, str, int], ...]:
    """The split, the prepared images and the models as dvc.lock names them; nothing where there is no lock."""
    if not lock.exists():
        return ()
    stages = YAML(typ="safe").load(lock)["stages"]
    outputs = {out["path"]: out for stage in stages.values() for out in stage.get("outs", [])}
    return tuple(
        (path, outputs[path]["md5"], outputs[path]["size"]) for path in sorted(outputs) if path.startswith(TRACKED)
    )


def _git(root: Path, *command: str) -> str | None:
    """What Git says about code and settings, None where there is no Git or no repository."""
    try:
        answer = subprocess.run(["git", *command, "--", *CODE], cwd=root, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return answer.stdout.rstrip() or None
