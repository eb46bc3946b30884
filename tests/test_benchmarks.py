"""The benchmarks run at a small size; their speed is not tested."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from runpy import run_path

import pandas as pd
import pytest
from PIL import Image

from bonexray.base.files import read_json
from bonexray.denoise.filters import FILTERS
from bonexray.phantom.simulation import simulate
from bonexray.results.markdown import with_section

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "frozen": ["mobilenet_v2", "--images", "16", "--px", "32", "--epochs", "2"],
    "federation": ["--models", "mobilenet_v2", "--sites", "2", "--patients", "90", "--px", "32", "--rounds", "2"],
    "scaling": ["--images", "60", "90", "--px", "32"],
    "denoise": ["--images", "2", "--px", "48"],
    "audit": ["--images", "70", "--planted", "0.2"],
    "fractures": ["--patients", "30", "--px", "32", "--epochs", "1"],
    "coverage": ["--studies", "4", "--resamples", "100", "--groups", "36", "--truths", "0.98"],
    "engines": ["--engines", "bm3d", "--count", "2", "--px", "48"],
    "filters": ["--count", "2", "--px", "48"],
    "predict": ["compact_cnn", "--images", "40", "--px", "32", "--rounds", "1"],
}
needs_flower = pytest.mark.skipif(find_spec("flwr") is None, reason="no Flower here: pip install 'bonexray[federated]'")


def printed(name: str, *arguments: str) -> str:
    """Run a benchmark at its smallest size; return what it prints."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *SMALL[name], *arguments]
    done = subprocess.run(command, cwd=BENCHMARKS.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_benchmark_is_tested() -> None:
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == set(SMALL)


@pytest.mark.parametrize(
    ("name", "page"),
    [
        pytest.param("federation", "federated", marks=[pytest.mark.slow, needs_flower]),
        ("fractures", "localisation"),
        ("scaling", "scaling"),
    ],
)
def test_a_page_shows_the_committed_numbers(name: str, page: str) -> None:
    measured = json.loads((BENCHMARKS.parent / f"metrics/{name}.json").read_text(encoding="utf-8"))
    text = (BENCHMARKS.parent / f"docs/{page}.md").read_text(encoding="utf-8")
    assert with_section(text, name, run_path(str(BENCHMARKS / f"{name}.py"))["markdown"](measured)) == text


@pytest.mark.slow
def test_cached_features_give_the_same_head_as_training_with_the_backbone() -> None:
    found = printed("frozen")
    assert float(re.search(r"ratio: ([\d.]+)", found)[1]) > 0
    assert float(re.search(r"difference of the two heads' probabilities: (\S+)", found)[1]) < 1e-4


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from Linux")
def test_every_stage_is_measured_on_each_cohort_and_written_into_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- scaling: x -->\n<!-- end of scaling -->\n", encoding="utf-8")
    table = printed("scaling", "--models", "texture", "brightness", "--out", str(tmp_path), "--into", str(page))
    measured = json.loads((tmp_path / "metrics/scaling.json").read_text(encoding="utf-8"))
    stages = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][2:]
    assert stages == [stage for stage in measured["stages"] if not stage.endswith("@other_site")]
    assert {"split", "denoise", "prepare", "train@texture", "evaluate", "report"} < set(stages)
    assert all(cost["peak_mb"] > 50 and cost["seconds"] > 0 for costs in measured["stages"].values() for cost in costs)
    assert measured["images"] == sorted(set(measured["images"])) and "| split |" in page.read_text(encoding="utf-8")


def test_the_stages_filter_gives_the_quality_of_the_package() -> None:
    found = printed("denoise")
    for profile in ("np", "lc"):
        decibels = re.search(rf"{profile}: PSNR ([\d.]+), ([\d.]+), ([\d.]+) dB", found).groups()
        assert max(map(float, decibels)) - min(map(float, decibels)) <= 0.05
        assert re.search(rf"{profile}: ratio: [\d.]+  efficiency: [\d.]+", found)


def test_every_filter_is_measured_and_drawn(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- filters: written by `python benchmarks/filters.py --into docs/denoising.md` -->\n<!-- end of filters -->\nafter\n"
    )
    found = printed("filters", "--out", str(tmp_path), "--into", str(page))
    table = pd.read_csv(tmp_path / "metrics" / "filters.csv").set_index("filter")
    assert list(table.index) == list(FILTERS)
    assert table.loc["bm3d", "psnr_after_db"] > table.loc["bm3d", "psnr_before_db"] + 3
    assert found.strip() in page.read_text()
    with Image.open(tmp_path / "reports" / "filters.png") as gallery:
        assert gallery.width > 1.5 * gallery.height


def test_every_profile_of_the_comparison_is_measured_and_earlier_rows_are_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- engines: written by `engines.py` -->\n<!-- end of engines -->\n")
    earlier = {"engine": "bmnd", "profile": "np", "images": "phantoms", "px": 48, "n": 2, "psnr_db": 30.0}
    (tmp_path / "metrics").mkdir()
    pd.DataFrame([earlier | {"ssim": 0.5, "seconds": 1.0}]).to_csv(tmp_path / "metrics" / "engines.csv", index=False)
    found = printed("engines", "--out", str(tmp_path), "--into", str(page))
    table = pd.read_csv(tmp_path / "metrics" / "engines.csv")
    assert list(zip(table["engine"], table["profile"], strict=True)) == [("bm3d", "lc"), ("bm3d", "np"), ("bmnd", "np")]
    assert (table["seconds"] > 0).all()
    assert found.strip() in page.read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory from Linux")
def test_prediction_is_measured_beside_the_bare_forward_pass() -> None:
    found = printed("predict")
    assert float(re.search(r"ratio: ([\d.]+)", found)[1]) > 0
    assert re.search(r"latency: [\d.]+ ms", found) and re.search(r"peak memory: \d+ MB .*, \d+ MB", found)


def test_planted_copies_are_found() -> None:
    found = printed("audit")
    assert re.search(r"planted copies found: 1[34] of 14; other pairs: 0", found)
    assert len(re.findall(r" [12] of 2", found.splitlines()[-1])) == 7


def test_every_change_of_a_copy_is_measured(tmp_path: Path) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "images"
    page.write_text("<!-- copies: written by `audit.py` -->\n<!-- end of copies -->\n")
    folder.mkdir()
    for number, image in enumerate(islice(simulate(4, 96, 400.0, 2.0, 7), 4)):
        Image.fromarray((255 * image.clean).astype("uint8")).save(folder / f"{number}.png")
    found = printed(
        "audit", "--table", "--images", "2", "--folders", f"limbs={folder}", "--out", str(tmp_path), "--into", str(page)
    )
    table = pd.read_csv(tmp_path / "metrics" / "audit.csv")
    assert set(table["images"]) == {"limbs", "limbs, middle", "phantoms"}
    assert (table["images"].value_counts() == 16).all()
    assert table["share"].between(0, 1).all()
    assert found.strip() in page.read_text()


def test_the_docs_tell_what_the_committed_search_finds() -> None:
    markdown = run_path(str(BENCHMARKS / "audit.py"))["markdown"]
    table = pd.read_csv(BENCHMARKS.parent / "metrics" / "audit.csv")
    docs = (BENCHMARKS.parent / "docs" / "your-xrays.md").read_text(encoding="utf-8")
    assert markdown(table) in docs
    wrong, found = (table[table["change"].eq("none") == none] for none in (True, False))
    assert (wrong["share"] < 0.001).all()
    knees = found[found["images"].str.startswith("knees")].pivot(index="change", columns="images", values="share")
    assert set(knees.index[(knees < 0.9).any(axis=1)]) <= {"rotated, cropped, padded, brightness", "all of these"}


def test_coverage_is_measured_for_every_kind_of_study(tmp_path: Path) -> None:
    found = printed("coverage", "--out", str(tmp_path))
    table = pd.read_csv(tmp_path / "metrics" / "coverage.csv")
    alarms = table["question"].str.startswith("false alarm")
    assert list(table.loc[alarms, "question"].value_counts()) == [2, 2]
    assert {"interval of roc_auc", "interval of recall of class 2"} <= set(table.loc[~alarms, "question"])
    assert table.loc[~alarms, "question"].value_counts().max() == 4 and (table.loc[~alarms, "narrowest"] > 0).all()
    assert table["share"].between(0, 1).all()
    assert (tmp_path / "docs" / "coverage.md").read_text(encoding="utf-8").strip() == found.strip()
    assert "4 of 36 patients" in found


def test_cells_are_added_to_a_table(tmp_path: Path) -> None:
    part = ["--out", str(tmp_path), "--images", "1", "--truths"]
    printed("coverage", *part, "0.9")
    printed("coverage", *part, "0.98", "--add")
    table = pd.read_csv(tmp_path / "metrics" / "coverage.csv", dtype={"recalls": str})
    intervals = table[table["question"].str.startswith("interval")]
    assert intervals.groupby("question")["recalls"].nunique().max() == 2
    assert not table.duplicated(["question", "recalls", "groups", "models", "images", "balance"]).any()


def test_the_committed_run_finds_intervals_and_the_bootstraps_p_right() -> None:
    table = pd.read_csv(BENCHMARKS.parent / "metrics" / "coverage.csv")
    assert table.groupby("groups")["studies"].max().min() >= 100
    assert set(table["groups"]) == {20, 100, 400}
    intervals = table[table["question"].str.startswith("interval")]
    assert set(intervals["recalls"].astype(float)) == {0.5, 0.8, 0.95, 0.98, 0.999}
    assert set(intervals["images"]) == {1, 4} and set(intervals["balance"]) == {"even", "rare"}
    assert (intervals["narrowest"] > 0).all()
    assert table.loc[~table["question"].str.endswith("p_mcnemar"), "within"].all()


def test_the_committed_run_covers_every_score_with_an_interval() -> None:
    scores = read_json(BENCHMARKS.parent / "metrics" / "models.json")
    first = next(iter(scores.values()))
    names = {name for name in first if name.endswith("_low")}
    names |= {f"{name} of class 0" for name in next(iter(first["classes"].values())) if name.endswith("_low")}
    shown = {name.replace("_low", "") for name in names}
    measured = set(
        pd.read_csv(BENCHMARKS.parent / "metrics" / "coverage.csv")["question"].str.removeprefix("interval of ")
    )
    assert len(shown) > 20 and shown - measured == set()


@pytest.mark.slow
@needs_flower
def test_a_federation_is_measured_beside_each_way_to_train_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- federation: x -->\n<!-- end of federation -->\n", encoding="utf-8")
    table = printed("federation", "--out", str(tmp_path), "--into", str(page))
    result = json.loads((tmp_path / "metrics/federation.json").read_text(encoding="utf-8"))["models"]["mobilenet_v2"]
    assert {"fedprox", "fedavg", "all in one place"} < set(result["scores"])
    assert "| MobileNetV2 |" in table and table.splitlines()[0] in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_heat_maps_of_fractures_are_measured_and_written_into_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- fractures: x -->\n<!-- end of fractures -->\n", encoding="utf-8")
    table = printed("fractures", "--out", str(tmp_path), "--into", str(page))
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    assert [" none ", " mean box of training "] in rows and [" Located CNN ", " taught map "] in rows
    assert (tmp_path / "metrics/fractures.json").is_file() and "| Located CNN | taught map |" in page.read_text()
