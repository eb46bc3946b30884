"""README.md and docs/ against the files and the code that they describe."""

import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import typer
from ruamel.yaml import YAML

from bonexray import XRayClassifier
from bonexray.cli import app
from bonexray.experiment.keys import CHOSEN, KNOWN, OPEN, QUICK, SHORT
from bonexray.images.radiograph import MAX_PIXELS
from bonexray.kept_settings import KEPT
from bonexray.registry import BASELINES, REGISTRY
from bonexray.registry import GROUPS as MODELS
from bonexray.results.tables import CEILING_ROW
from bonexray.serving.export import LIMITS
from bonexray.serving.web.upload import Limits
from bonexray.tracking.live import PATIENCE_S, PATIENCE_SHARE
from bonexray.tracking.store import CLIENT_DEFAULTS

ROOT = Path(__file__).parents[1]
PATHS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GROUPS = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()} | {"tuned"}  # `dataset=knee`
FOLDERS = "src|conf|stages|benchmarks|notebooks|deploy|tests"
each_document = pytest.mark.parametrize("name", DOCUMENTS)


def section(document: str, name: str) -> str:
    """What stands between a document's two markers of that name."""
    pattern = rf"^<!-- {name}: .*? -->\n(.*?)\n<!-- end of {name} -->$"
    return re.search(pattern, DOCUMENTS[document], re.DOTALL | re.MULTILINE)[1]


def shell_lines(text: str) -> Iterator[str]:
    """Every command in a block of shell code or in a line, with its continued lines joined."""
    for language, block in FENCE.findall(text):
        if language == "sh":
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Each use of a program in any document, with its arguments."""
    for name, text in DOCUMENTS.items():
        for line in shell_lines(text):
            for found in re.findall(rf"(?:^|\$\(|&& ){program} ([^)]*)", line.strip()):
                yield name, shlex.split(found, comments=True)


def overrides() -> Iterator[tuple[str, str]]:
    """Each `-S setting=value` in any document, the setting without its plus."""
    for name, text in DOCUMENTS.items():
        for line in shell_lines(text):
            for setting in re.findall(r"-S '?\+?([\w.]+)=", line):
                yield name, setting


# What is generated


def benchmark_of(name: str):
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", ROOT / f"benchmarks/{name}.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return benchmark


def results() -> list[str]:
    """The lines of the ranked table and of what is said below it, from metrics/."""
    from bonexray.results import tables

    comparison = pd.read_csv(ROOT / "metrics/comparison.csv")
    headline, denoise = (json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in ("headline", "denoise"))
    return tables.markdown_table(comparison, headline, denoise).splitlines()


def test_the_results_are_those_in_metrics():
    assert section("docs/results.md", "results").splitlines() == results(), (
        "run `bonexray table --into docs/results.md`"
    )


def test_the_readme_has_the_best_the_chosen_and_the_baseline():
    lines = results()
    top = int(re.search(r"<!-- results: .*--top (\d+) ", DOCUMENTS["README.md"])[1])
    head, rows, rest = lines[:2], lines[2 : lines.index("")], lines[lines.index("") :]
    besides = "(chosen on validation)", "| always the majority class |", f"| {CEILING_ROW} |"
    shown = [row for place, row in enumerate(rows) if place < top or any(words in row for words in besides)]
    assert section("README.md", "results").splitlines() == head + shown + rest, (
        f"run `bonexray table --top {top} --into README.md`"
    )


def test_the_filters_are_those_in_metrics():
    measured = pd.read_csv(ROOT / "metrics/filters.csv")
    table = benchmark_of("filters").markdown(measured, "phantoms of 128 px")
    assert section("docs/denoising.md", "filters") == table, (
        "run `python benchmarks/filters.py --into docs/denoising.md`"
    )
    assert table in (ROOT / "reports/filters.md").read_text(encoding="utf-8")
    best = measured.sort_values("psnr_after_db", ascending=False)["filter"]
    assert list(best[:2]) == ["bm3d", "nlm"]  # "`nlm` comes closest to it"


def test_the_maps_of_fractures_are_those_in_metrics():
    measured = json.loads((ROOT / "metrics/fractures.json").read_text(encoding="utf-8"))
    assert section("docs/localisation.md", "fractures") == benchmark_of("fractures").markdown(measured), (
        "run `python benchmarks/fractures.py --into docs/localisation.md`"
    )
    taught = measured["models"]["located_cnn"]["taught"]
    assert taught["pointing"] > 0.9
    assert all(taught[f"above_{reference}_low"] > 0 for reference in ("centre", "mean_box", "random"))


def test_the_engines_are_those_in_metrics(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # engines.py takes its images from filters.py
    table = benchmark_of("engines").markdown(pd.read_csv(ROOT / "metrics/engines.csv"))
    assert section("docs/denoising.md", "engines") == table, (
        "run `python benchmarks/engines.py --into docs/denoising.md`"
    )


def test_the_models_are_those_of_the_registry():
    from bonexray.registry_files import models_table

    assert section("docs/models.md", "models") == models_table(), "run `bonexray registry`"


# What exists


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 8192


@each_document
def test_pictures_and_links_to_files_exist(name: str):
    for link in re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", DOCUMENTS[name]):
        if not link.startswith("https://"):
            assert (ROOT / name).parent.joinpath(link).stat().st_size > 100, link
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", DOCUMENTS[name]):
        assert (ROOT / name).parent.joinpath(picture).stat().st_size > 5000, picture


def test_the_readme_links_to_every_page():
    pages = {name for name in DOCUMENTS if name.startswith("docs/") and name != "docs/index.md"}
    assert pages <= set(re.findall(r"\]\((docs/[\w-]+\.md)\)", DOCUMENTS["README.md"]))


@each_document
def test_files_that_it_names_exist(name: str):
    for path in re.findall(rf"(?:`|^|\s)((?:{FOLDERS}|\.ci|\.github)/[\w/.]+)", DOCUMENTS[name], re.MULTILINE):
        assert (ROOT / path).exists() or Path(path) == KEPT, path  # `bonexray use` writes that one


def test_the_folder_tree_has_every_package():
    tree = re.search(r"^src/bonexray/.*?\n(?=\w)", DOCUMENTS["docs/design.md"], re.DOTALL | re.MULTILINE)[0]
    packages = {path.parent.name for path in (ROOT / "src/bonexray").glob("*/__init__.py")}
    assert set(re.findall(r"^  (\w+)/", tree, re.MULTILINE)) == packages


def test_every_stage_is_in_the_table():
    listed = re.findall(r"^\| `(\w+)(?:@\w+)?` \|", DOCUMENTS["docs/design.md"], re.MULTILINE)
    stages = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert set(listed) == stages  # its work is done by `features`


# Commands


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = list(commands("make")) + list(commands("BONEXRAY_EVERY_NETWORK=1 make"))
    assert len(found) > 10
    for name, arguments in found:
        assert f"\n{arguments[0]}:" in makefile, (name, arguments)


def test_every_command_line_is_one_that_bonexray_takes():
    program = typer.main.get_command(app)
    found = [(name, arguments) for name, arguments in commands("bonexray") if arguments]
    assert {arguments[0] for _, arguments in found} >= set(program.commands) - {"check"}
    for name, (command, *options) in found:
        assert command in program.commands, (name, command)
        takes = program.commands[command]
        while hasattr(takes, "commands"):  # a group, such as `federate`
            assert options and options[0] in takes.commands, (name, command, options)
            takes, options = takes.commands[options[0]], options[1:]
        takes.make_parser(typer.Context(takes)).parse_args(options)  # raises at an unknown option


def test_scripts_and_extras_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name, text in DOCUMENTS.items():
        for extra in re.findall(r"bonexray\[(\w+)\]", text):
            assert extra in extras, (name, extra)
    for program in ("python", r"\.ci/comment"):
        for name, arguments in commands(program):
            assert program != "python" or (ROOT / arguments[0]).is_file(), (name, arguments)


def test_every_setting_exists():
    mappings = tuple(f"{mapping}." for mapping in OPEN)
    found = {*overrides()}
    sections = "|".join({setting.split(".")[0] for setting in KNOWN if "." in setting})
    for name, text in DOCUMENTS.items():
        found |= {(name, setting) for setting in re.findall(rf"`((?:{sections})\.\w+)(?:=[^`]*)?`", text)}
    assert len(found) > 50
    for name, setting in found:
        assert setting in {*KNOWN, *GROUPS, "model"} or setting.startswith(mappings), (name, setting)


@pytest.mark.parametrize("group", ["dataset", "preset"])
def test_chosen_files_of_conf_exist(group: str):
    for name, text in DOCUMENTS.items():
        for chosen in re.findall(rf"\b{group}=(\w+)", text):
            assert (ROOT / f"conf/{group}/{chosen}.yaml").is_file(), (name, chosen)


# Python


@pytest.mark.parametrize("name", [name for name, text in DOCUMENTS.items() if "```python" in text])
def test_python_code_imports_what_there_is(name: str):
    for language, block in FENCE.findall(DOCUMENTS[name]):
        if language == "python":
            compile(block, name, "exec")
            imports = [line for line in block.splitlines() if line.startswith(("import ", "from "))]
            exec("\n".join(imports), {})


def test_the_config_of_a_study_is_taken_and_its_keys_are_listed():
    page = DOCUMENTS["docs/python.md"]
    code = next(block for language, block in FENCE.findall(page) if language == "python")
    (call,) = re.findall(r"^study = XRayClassifier\(.*\)$", code, re.MULTILINE)
    names: dict[str, object] = {"XRayClassifier": XRayClassifier}
    exec(call, names)
    assert set(names["study"].settings.models) == {"vgg16", "resnet50", *BASELINES}
    assert all(f"`{key}`" in page for key in (*SHORT, *CHOSEN))
    assert all(f"`{setting}`" in page for setting in SHORT.values() if setting != "model")
    for setting, value in re.findall(r'`"([\w.]+)": "(\w+)"`', page):
        XRayClassifier({setting: value})


# Numbers


def test_numbers_are_those_of_the_code():
    python, team, serving = (DOCUMENTS[f"docs/{page}.md"] for page in ("python", "team", "serving"))
    assert f"`True` means {QUICK}" in python
    assert f"{PATIENCE_S} seconds or {PATIENCE_SHARE:.0%} of".replace("%", " %") in team
    assert f"`MLFLOW_HTTP_REQUEST_TIMEOUT` ({CLIENT_DEFAULTS['MLFLOW_HTTP_REQUEST_TIMEOUT']} seconds here)" in team
    assert f"`MLFLOW_HTTP_REQUEST_MAX_RETRIES` ({CLIENT_DEFAULTS['MLFLOW_HTTP_REQUEST_MAX_RETRIES']} here)" in team
    assert LIMITS["onnx"] == LIMITS["tflite"]
    upload = Limits()
    assert f"up to {upload.upload_mb} MB (`--most-mb`) and {MAX_PIXELS // 10**6} million pixels" in serving
    assert f"{upload.upload_s} seconds to arrive" in serving and f"and {upload.waiting} may be on the server" in serving
    assert f"more than {LIMITS['onnx']:.4f}, or {LIMITS['tflite-int8']} with 8 bits" in serving


def test_numbers_are_those_of_the_presets():
    smoke, paper = (YAML(typ="safe").load(ROOT / f"conf/preset/{name}.yaml") for name in ("smoke", "paper"))
    for bound in re.findall(r"at most (\d+) images", DOCUMENTS["docs/your-xrays.md"]):
        assert int(bound) == smoke["split"]["max_images"]
    assert f"{paper['prepare']['img_px']} px, BM3D, ImageNet weights" in DOCUMENTS["docs/your-xrays.md"]
    assert (paper["denoise"]["method"], paper["weights"]["source"]) == ("bm3d", "imagenet")
    assert paper["modes"] == {"resnet50": "fine_tune"}


def test_a_slurm_array_has_a_task_for_each_model_of_the_default_study():
    last = int(re.search(r"--array=0-(\d+)", DOCUMENTS["docs/scaling.md"])[1])
    assert list(REGISTRY)[: last + 1] == MODELS["all"]


def test_the_glossary_has_ten_words():
    assert len(re.findall(r"^\*\*[^*]+\.\*\* ", DOCUMENTS["docs/glossary.md"], re.MULTILINE)) == 10
