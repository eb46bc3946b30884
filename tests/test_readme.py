"""The README against the files and the code it speaks of."""

import importlib.util
import re
from pathlib import Path

import pandas as pd

from bonexray.data.paths import HEADLINE
from bonexray.files import read_json
from bonexray.results.markdown import with_section
from bonexray.reporting import tables

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_results_are_those_in_metrics():
    headline, denoise = read_json(ROOT / HEADLINE), read_json(ROOT / tables.DENOISE)
    table = tables.markdown_table(pd.read_csv(ROOT / tables.COMPARISON), headline, denoise)
    assert with_section(README, tables.BEGIN, tables.END, table) == README, "run `bonexray table --into README.md`"


def test_the_filters_are_those_in_metrics():
    file = ROOT / "benchmarks/filters.py"
    spec = importlib.util.spec_from_file_location("filters_benchmark", file)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    table = benchmark.markdown(pd.read_csv(ROOT / "metrics/filters.csv"), "phantoms of 128 px")
    written = with_section(README, benchmark.BEGIN, benchmark.END, table)
    assert written == README, f"run `python {file.relative_to(ROOT)} --into README.md`"
    assert table in (ROOT / "reports/filters.md").read_text(encoding="utf-8")


def test_its_pictures_and_files_exist():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).stat().st_size > 5000
    for path in re.findall(r"`((?:src|conf|stages)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path


def test_its_make_targets_and_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make (\w+)", README, re.M):
        assert f"\n{target}:" in makefile, target
    cli = (ROOT / "src/bonexray/cli.py").read_text()
    for command in re.findall(r"`bonexray (\w+)", README):
        assert f"def {command}(" in cli, command
