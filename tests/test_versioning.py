"""Images that no experiment may commit to Git."""

import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bonexray.base.errors import BonexrayError
from bonexray.dataset.settings import Dataset
from bonexray.dataset.versioning import require_out_of_git

ROOT = Path(__file__).parents[1]


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.email=a@b.c", "-c", "user.name=a", *arguments], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git and DVC repository whose data/.gitignore is the project's."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    for folder in (".dvc", "data/raw/normal", "images/normal"):
        Path(folder).mkdir(parents=True)
    Path("data/.gitignore").write_text((ROOT / "data/.gitignore").read_text())
    for image in ("data/raw/normal/a.png", "images/normal/a.png", "images/index.csv"):
        Path(image).write_bytes(b"image")
    return tmp_path


def dataset(root: str, csv: str | None = None) -> Dataset:
    return Dataset(name="own", root=root, csv=csv, inputs=[root])


def commit(*paths: str) -> None:
    git("add", *paths)
    git("commit", "-qm", "files")


def ignore(pattern: str) -> None:
    Path(".gitignore").write_text(f"{pattern}\n")


@pytest.mark.parametrize(
    ("root", "csv", "prepare", "refused"),
    [
        ("data/raw", None, lambda: None, None),  # where the documentation tells people to put images
        ("images", None, lambda: None, "images/"),
        ("images", None, lambda: ignore("/images"), None),
        ("images", None, lambda: commit("images"), None),
        ("images", None, lambda: commit("images/normal"), "images/index.csv"),
        ("data/raw", "images/index.csv", lambda: None, "images/index.csv"),
        ("images", None, lambda: Path(".dvc").rmdir(), None),
        ("/nowhere/images", None, lambda: None, None),
    ],
)
def test_images_that_git_would_commit_are_refused(root: str, csv: str | None, prepare, refused: str | None) -> None:
    prepare()
    if refused is None:
        require_out_of_git(dataset(root, csv))
        return
    with pytest.raises(BonexrayError, match=f"received {refused}, which Git neither tracks nor ignores; run `dvc add"):
        require_out_of_git(dataset(root, csv))


def test_every_folder_that_the_documentation_names_is_ignored() -> None:
    configs = [YAML(typ="safe").load(path) for path in (ROOT / "conf/dataset").glob("*.yaml")]
    sections = [config.get("dataset", config) for config in configs]
    cohorts = [cohort for config in configs for cohort in config.get("external", {}).values()]
    pages = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
    shown = re.findall(r"(?:root(?:=|: )|cp -r \S+ |dvc add )\W?(data/[\w/]+)", pages)
    roots = {section["root"] for section in [*sections, *cohorts] if "root" in section} | {*shown}
    assert {"data/raw", "data/hospital_b"} <= roots
    for root in roots:
        Path(root).mkdir(parents=True, exist_ok=True)
        (Path(root) / "a.png").write_bytes(b"image")
        require_out_of_git(dataset(root))


def test_what_dvc_knows_of_a_folder_of_data_stays_in_git() -> None:
    Path("data/raw.dvc").write_text("outs: []")
    git("add", "-A")
    tracked = subprocess.run(["git", "ls-files", "data"], check=True, capture_output=True, text=True).stdout.split()
    assert tracked == ["data/.gitignore", "data/raw.dvc"]


def test_without_git_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    require_out_of_git(dataset("images"))
