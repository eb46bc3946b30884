"""docs/ as a site: built without a warning, without the network, and refused where a link is broken."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="no MkDocs here: pip install 'bonexray[docs]'")
LOADED = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']([^"']+)|<link[^>]*\shref=["']([^"']+)""")


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site from a folder with mkdocs.yml and docs/, as `make lint` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "site")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The documentation in a folder of its own."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def test_the_site_is_built_and_loads_nothing_from_elsewhere(copy: Path):
    built = build(copy)
    assert built.returncode == 0 and "WARNING" not in built.stderr, built.stderr
    pages = sorted((copy / "site").rglob("*.html"))
    assert {page.stem for page in pages} >= {page.stem for page in (copy / "docs").rglob("*.md")}
    for page in pages:
        text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        loaded = ["".join(found) for found in LOADED.findall(text)]
        assert loaded and not [address for address in loaded if re.match(r"(?:\w+:)?//", address)]
    for style in (copy / "site").rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:\w+:)?//", style.read_text(encoding="utf-8")), style


@pytest.mark.parametrize(
    "text",
    ["[gone](gone.md)", "[gone](design.md#gone)", "[outside](../params.yaml)", "![gone](gone.png)", "[root](/design)"],
)
def test_a_broken_link_is_refused(copy: Path, text: str):
    with (copy / "docs/index.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{text}\n")
    built = build(copy)
    assert built.returncode != 0 and "WARNING" in built.stderr


def test_a_page_in_no_menu_is_refused(copy: Path):
    (copy / "docs/new.md").write_text("# New\n", encoding="utf-8")
    built = build(copy)
    assert built.returncode != 0 and "new.md" in built.stderr


def test_lint_builds_it():
    lint = re.search(r"^lint:.*\n(?:\t.*\n)*", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[0]
    (command,) = [line for line in lint.splitlines() if line.startswith("\tmkdocs build --strict")]
    assert "--quiet" not in command.split("#")[0]  # warnings would not be counted
