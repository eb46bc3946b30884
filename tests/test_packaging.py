"""What a project needs to be used: a wheel that works anywhere, and the files that say how it may be used."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML
from typer.testing import CliRunner

import bonexray
from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.registry import BASELINES
from bonexray.resources import resource_path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RESOURCES = ("conf", "stages", "dvc.yaml")
INSTALLER = ["uv", "pip"] if shutil.which("uv") else [sys.executable, "-m", "pip"]


def files_below(folder: Path) -> set[str]:
    """Every file but Python's caches, by its path from the folder."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def run_python(code: str, folder: Path, target: Path) -> str:
    """Run code in a folder with the bonexray in `target` and everything else as it is installed here; return its output."""
    env = {key: value for key, value in os.environ.items() if key not in ("DVC_ROOT", "MLFLOW_TRACKING_URI")}
    env["PYTHONPATH"] = str(target)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def git_files() -> list[Path]:
    """Every file in Git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a Git repository")
    return [ROOT / name for name in listed.stdout.rstrip("\0").split("\0")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bonexray in it, installed from a wheel that a clean copy of the checkout gives."""
    if not (find_spec("hatchling") and find_spec("hatch_requirements_txt")):
        pytest.skip("no build backend here: pip install 'bonexray[dev]'")
    checkout, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("installed")
    for name in ("src", *RESOURCES, "pyproject.toml", "requirements.txt", "README.md", "LICENSE", ".gitignore"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    before = files_below(checkout)
    install = [*INSTALLER, "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    python = ["--python", sys.executable] if INSTALLER[0] == "uv" else []
    subprocess.run([*install, str(target), *python, str(checkout)], check=True, capture_output=True, timeout=300)
    assert files_below(checkout) == before  # no build/, no *.egg-info
    return target


def requirement(line: str) -> tuple[str, SpecifierSet]:
    """The name and the versions of a requirement, however they are written."""
    parsed = Requirement(line)
    return canonicalize_name(parsed.name), parsed.specifier


# The wheel


def test_a_wheel_has_the_code_and_what_lies_beside_it_once(installed):
    package = installed / "bonexray"
    expected = files_below(ROOT / "src/bonexray") | {"dvc.yaml"}
    expected |= {f"{name}/{path}" for name in ("conf", "stages") for path in files_below(ROOT / name)}
    assert files_below(package) == expected
    assert (package / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()


def test_the_installed_classes_work_in_another_folder(installed, tmp_path):
    code = """
from bonexray import Predictor, XRayClassifier
import bonexray
study = XRayClassifier(config={"models": ["vgg16"], "preset": "smoke"}, folder="study")
print(bonexray.__file__, *study.settings.models, Predictor.__name__, sep="\\n")
"""
    file, model, *baselines, predictor = run_python(code, tmp_path, installed).split()
    assert Path(file) == installed / "bonexray/__init__.py"
    assert (model, baselines, predictor) == ("vgg16", list(BASELINES), "Predictor")


def test_an_installed_stage_runs_and_its_refusal_comes_back(installed, tmp_path):
    code = """
from bonexray import XRayClassifier
from bonexray.base.errors import BonexrayError
study = XRayClassifier({"models": "compact_cnn", "phantom": {"patients": 24, "other_site_patients": 24, "img_px": 32}}, "study")
try:
    study.run_stage("split", verbose=False)
except BonexrayError as error:
    print(error.what)
print(len(study.run_stage("phantom", "cohort", verbose=False)) >= 24)
"""
    assert run_python(code, tmp_path, installed).split() == ["dataset.root", "True"]


def test_an_installed_wheel_requires_what_is_pinned(installed):
    (metadata,) = installed.glob("bonexray-*.dist-info/METADATA")
    stated = re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata.read_text(encoding="utf-8"), re.M)
    pins = re.findall(r"^[\w.-]+[=<>]=\S+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)
    assert {requirement(line) for line in stated} == {requirement(line) for line in pins}
    assert (metadata.parent / "licenses/LICENSE").is_file()


# The checkout


@pytest.mark.parametrize("name", RESOURCES)
def test_a_checkout_has_at_its_top_what_a_wheel_carries(name):
    assert resource_path(name) == ROOT / name


def test_what_is_in_neither_place_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("bonexray.resources.PACKAGE", tmp_path / "src/bonexray")
    with pytest.raises(BonexrayError, match=r"conf: expected in .*, received neither; install bonexray"):
        resource_path("conf")


def test_no_file_in_git_is_a_symbolic_link(git_files):
    assert [path for path in git_files if path.is_symlink()] == []


def test_importing_the_package_loads_nothing_else():
    code = "import sys, bonexray; print(*dir(bonexray)); print(*sys.modules)"
    names, modules = run_python(code, ROOT, ROOT / "src").splitlines()
    assert {"XRayClassifier", "Predictor"} <= set(names.split())
    assert not {"numpy", "pandas", "keras", "tensorflow"} & set(modules.split())
    assert [name for name in modules.split() if name.startswith("bonexray.")] == []


def test_a_name_that_the_package_has_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'XRay'"):
        _ = bonexray.XRay


# What may be done with it


def test_the_licence_is_stated_alike_everywhere():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]


def test_the_version_is_stated_alike_everywhere():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    latest = re.search(r"^## .*?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert PROJECT["version"] == citation["version"] == latest[1]
    assert CliRunner().invoke(app, ["--version"]).output == f"bonexray {PROJECT['version']}\n"


def test_make_refuses_a_python_that_pip_refuses():
    lowest, end = re.search(
        r"not \(3, (\d+)\) <= sys.version_info < \(3, (\d+)\)", (ROOT / "Makefile").read_text(encoding="utf-8")
    ).groups()
    allowed = SpecifierSet(PROJECT["requires-python"])
    taken = [minor for minor in range(5, 30) if f"3.{minor}" in allowed]
    assert taken == list(range(int(lowest), int(end)))


def test_the_stand_in_for_tensorflow_has_its_version_and_no_modules():
    stand_in = tomllib.loads((ROOT / "deploy/cpu/pyproject.toml").read_text(encoding="utf-8"))["project"]
    (pin,) = re.findall(r"^tensorflow==(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M)
    assert (stand_in["name"], stand_in["version"]) == ("tensorflow", pin)
    assert stand_in["dependencies"] == [f"tensorflow-cpu=={pin}"]
    assert [path.name for path in (ROOT / "deploy/cpu").iterdir()] == ["pyproject.toml"]


def what_make_does(folder: Path, *arguments: str, gpu: bool = False) -> list[str]:
    """The commands of `make -n` in a folder with the Makefile, on a machine with a GPU or without."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "deploy", folder / "deploy", dirs_exist_ok=True)
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, code in {"nvidia-smi": int(not gpu), "uname": 0}.items():
        (tools / name).write_text(f"#!/bin/sh\necho Linux x86_64\nexit {code}\n")
        (tools / name).chmod(0o755)
    outside = {
        key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GPU")
    }
    env = {**outside, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(["make", "-n", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("existing", "gpu", "arguments", "stand_in", "anew"),
    [
        (None, False, [], True, True),
        (None, True, [], False, True),
        (None, False, ["GPU=1"], False, True),
        (None, True, ["GPU=0"], True, True),
        ("0", True, [], True, False),  # a login node without a GPU made it, a node with one uses it
        ("1", False, [], False, False),
        ("0", False, ["GPU=1"], False, True),
    ],
)
def test_make_installs_one_tensorflow(
    existing: str | None, gpu: bool, arguments: list[str], stand_in: bool, anew: bool, tmp_path: Path
):
    if existing:
        (tmp_path / ".venv").mkdir()
        (tmp_path / f".venv/.gpu-{existing}").touch()
    lines = what_make_does(tmp_path, "repro", *arguments, gpu=gpu)
    (install,) = [line for line in lines if " install " in line]
    assert ("./deploy/cpu" in install) == stand_in and install.endswith(" -e .")
    assert ("rm -rf .venv" in lines) == anew


@pytest.mark.parametrize(("target", "extra"), [("test", "dev"), ("lint", "dev"), ("slow", "slow")])
def test_make_installs_for_tests_what_only_tests_need(target: str, extra: str, tmp_path: Path):
    installs = [line.split(" -e ")[1] for line in what_make_does(tmp_path, target) if " install " in line]
    assert installs == [".", f"'.[{extra}]'"]


@pytest.mark.usefixtures("git_files")
@pytest.mark.parametrize("path", ["dvc.lock", "metrics/models.json", "reports/filters.md"])
def test_a_diff_leaves_out_what_the_pipeline_writes(path):
    asked = ["git", "check-attr", "diff", "linguist-generated", "--", path]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said == f"{path}: diff: unset\n{path}: linguist-generated: set\n"
