"""The report is complete for every kind of study, escapes names and loads nothing from a network."""

import dataclasses
import re
import runpy
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from studies import ROOT, SHAPES, Shape, card_of, data_of, rewritten, scores_of, settings_of, write_study

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.report.contents import model_details, report_page, summary_page
from bonexray.report.data import ReportSettings, Study, read_study
from bonexray.report.grades import grade_pairs_table
from bonexray.report.images import MAX_WIDTH_PX, picture
from bonexray.report.model_card import model_card_page
from bonexray.report.provenance import Provenance
from bonexray.report.tables import models_table
from bonexray.report.text import answer, prior_sentence, study_warnings
from bonexray.results.markdown import markdown_text

PROVENANCE = Provenance({"keras": "3.11.1"}, (("models/vgg16", "ab" * 32),))
VOID = {"meta", "link", "img", "br", "hr", "input"}
NAMED = ["vgg16", "vgg16_cumulative"]
every_shape = pytest.mark.parametrize("name", SHAPES)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that gives the study of a shape and its page, each created once."""
    cache: dict[str, tuple[Study, str]] = {}

    def study_of(name: str) -> tuple[Study, str]:
        if name not in cache:
            root = tmp_path_factory.mktemp("study")
            study = read_study(write_study(root, SHAPES[name]), root)
            cache[name] = study, report_page(study, PROVENANCE)
        return cache[name]

    return study_of


def with_setting(study: Study, section: str, **changes: object) -> Study:
    """Return the study with some settings of a section changed."""
    settings = ReportSettings(study.settings | {section: study.settings[section] | changes})
    return dataclasses.replace(study, settings=settings)


class Outline(HTMLParser):
    """The outline of a page: ids, headings, images, addresses and text; checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.headings: list[int] = []
        self.images: list[dict] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.sections: list[tuple[str, int]] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attributes: list) -> None:
        facts = dict(attributes)
        assert len(facts) == len(attributes), f"an attribute twice in {tag}"
        self.ids[facts.get("id") or "-"] += 1
        self.addresses += [facts[key] for key in ("src", "href") if facts.get(key)]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(facts)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text.append(data)


# The page


@every_shape
def test_page_and_summary_show_a_ceiling_only_for_simulated_images(studies, name: str) -> None:
    study, page = studies(name)
    summary, shown = summary_page(study), SHAPES[name].simulated
    assert ("| ceiling: the true bone of the simulation | 0.900 (0.820 to 0.960) |" in summary) == shown
    assert ("Ceiling: the true bone of the simulation" in page) == shown
    assert ("<dt>Ceiling</dt>" in page) == ("eiling" in page + summary) == shown
    foot = [[cell.text for cell in row[:3]] for row in models_table(study).foot]
    assert foot[1:] == ([["Ceiling: the true bone of the simulation", "", "0.900"]] if shown else [])


@every_shape
def test_page_is_valid_html_with_nested_headings(studies, name: str) -> None:
    outline = Outline(studies(name)[1])
    assert outline.headings.count(1) == 1 and outline.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    del outline.ids["-"]
    assert set(outline.ids.values()) == {1}
    inner = [address[1:] for address in outline.addresses if address.startswith("#")]
    assert inner and set(inner) <= set(outline.ids)
    assert all(image["alt"].strip() for image in outline.images)


@every_shape
def test_page_loads_nothing_from_a_network(studies, name: str) -> None:
    page = studies(name)[1]
    assert all(address.startswith(("data:", "#")) for address in Outline(page).addresses)
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", page)


@every_shape
def test_no_section_is_empty_and_no_value_is_missing(studies, name: str) -> None:
    page = studies(name)[1]
    for section in re.findall(r"<section.*?</section>", page, re.S):
        words = re.sub(r"<h2.*?</h2>|<[^>]+>", " ", section, flags=re.S).split()
        assert len(words) >= 8, section[:80]
    text = " ".join(Outline(page).text)
    assert not re.search(
        r"\b(None|nan|NaN|undefined|Undefined)\b",
        text.replace("None of", "").replace("None gives", "").replace("None.", "").replace("None in", ""),
    )
    for fold in re.findall(r"<details.*?</summary>(.*?)</details>", page, re.S):
        assert re.sub(r"<[^>]+>", "", fold).strip()


@every_shape
def test_page_contains_every_figure(studies, name: str) -> None:
    study, page = studies(name)
    assert len(Outline(page).images) == len(list(study.root.rglob("*.png")))


@every_shape
def test_page_is_reproducible(studies, name: str) -> None:
    study, page = studies(name)
    again = read_study(study.settings, study.root)
    assert report_page(again, PROVENANCE) == page
    assert str(study.root) not in page


def test_every_model_has_a_row_with_score_interval_and_marks(studies) -> None:
    study, page = studies("in trouble")
    rows = {row[0].text: row for row in models_table(study).rows}
    assert list(rows) == list(study.table["title"])
    assert ("bad", "collapsed") in rows["VGG16"][0].marks and ("bad", "leak suspected") in rows["VGG16"][0].marks
    assert ("bad", "collapsed") not in rows["Compact CNN"][0].marks
    assert rows["VGG16"][2].text == "0.750" and rows["VGG16"][2].sub == "0.650 to 0.850"
    assert "Always the majority class" in page


def test_a_model_that_nearly_collapsed_is_marked(studies) -> None:
    study, page = studies("in trouble")
    rows = {row[0].text: row for row in models_table(study).rows}
    assert ("bad", "nearly collapsed") in rows["Compact CNN"][0].marks
    assert ("bad", "nearly collapsed") not in rows["VGG16"][0].marks
    assert "one class for all test images of a training, or all but one: Compact CNN." in page
    assert "one class for every image: VGG16 and ResNet50." in page


def test_a_log_loss_above_that_of_knowing_nothing_is_a_warning(studies) -> None:
    (warning,) = [text for text in study_warnings(studies("in trouble")[0]) if "knowing nothing" in text]
    assert "(0.680 for" in warning and "VGG16 and ResNet50" in warning and "Compact CNN" not in warning
    assert not [text for text in study_warnings(studies("three networks")[0]) if "knowing nothing" in text]
    assert "Log loss, no skill" in studies("three networks")[1]


@pytest.mark.parametrize(
    ("weights", "prevalence", "words"),
    [
        ("balanced", None, "the class shares of training; they were corrected for the equal shares"),
        ("balanced", {"a": 0.9, "b": 0.1}, "a stated prevalence (a 0.9, b 0.1); they were corrected for the equal"),
        ("none", {"a": 0.9, "b": 0.1}, "(a 0.9, b 0.1); they were corrected from the class shares of training"),
        ("none", None, "the class shares of training; they needed no correction"),
    ],
)
def test_the_report_says_which_prior_the_probabilities_answer_to(weights, prevalence, words: str, studies) -> None:
    study, page = studies("three networks")
    assert prior_sentence(study) in page
    stated = with_setting(with_setting(study, "train", class_weights=weights), "evaluate", prevalence=prevalence)
    assert words in prior_sentence(stated)


def test_answers_per_patient_and_their_operating_point_are_shown(studies) -> None:
    _, page = studies("by patient")
    assert "On 36 test patients it reaches" in page and "Scores on 36 test patients with" in page
    assert "Test patients</th>" in page and "Test images</th>" not in page
    assert "at least 0.90 for osteoporosis on validation" in page and "on 32 test patients (11 positive)" in page
    assert "at a prevalence of 0.34" in page and "0.550 to 0.850" in page
    assert "Operating point" not in studies("three networks")[1]


def test_a_score_of_no_model_has_no_column_and_a_missing_score_is_a_dash(studies, tmp_path: Path) -> None:
    assert "ROC AUC" not in models_table(studies("in trouble")[0]).columns
    settings = write_study(tmp_path, SHAPES["three networks"])
    scores = read_json(tmp_path / "metrics/models.json")
    rewritten(tmp_path / "metrics/models.json", resnet50=scores["resnet50"] | {"roc_auc": None})
    table = models_table(read_study(settings, tmp_path))
    column = table.columns.index("ROC AUC")
    assert [row[column].text for row in table.rows] == ["0.750", "–", "0.650"]
    assert table.rows[1][column].order is None


def test_repeats_have_a_standard_deviation(studies, tmp_path: Path) -> None:
    table = models_table(studies("repeats")[0])
    assert table.rows[0][table.columns.index("SD of 3 repeats")].text == "0.020"
    assert "means over the repeats" in table.caption and "first repeat" not in models_table(studies("folds")[0]).caption
    both = models_table(read_study(write_study(tmp_path, Shape(repeats=3, folds=5)), tmp_path))
    assert "SD of 3 repeats of all folds" in both.columns
    assert "Across folds" in report_page(read_study(settings_of(Shape(repeats=3, folds=5)), tmp_path), PROVENANCE)


@pytest.mark.parametrize(
    ("copies", "expected"), [(0, "the images without augmentation."), (8, "8 such copies of each training image.")]
)
def test_augmentation_of_frozen_backbones_is_stated(studies, copies: int, expected: str) -> None:
    study = studies("three networks")[0]
    page = report_page(with_setting(study, "features", copies=copies), PROVENANCE)
    assert f"Frozen backbones (2 of 3 networks) were given {expected}" in page


def test_own_weights_are_named(studies) -> None:
    study, page = studies("three networks")
    chosen = with_setting(study, "weights", files={"vgg16": "/data/vgg16.h5"})
    expected = "own files for vgg16"
    assert expected in report_page(chosen, PROVENANCE) and expected not in page


STUDIED = {  # a shape, changes of a section, and the cells of the first two columns
    "random weights": ("three networks", {}, [("the package bm3d", "LicenseRef-BM3D-non-commercial, not for")]),
    "ImageNet weights": (
        "transfer",
        {"denoise": {"method": "nlm"}},
        [("the package scikit-image", "BSD-3-Clause"), ("the published weights of vgg16", "CC-BY-4.0")],
    ),
    "a file with a licence": (
        "one model",
        {"weights": {"files": {"vgg16": {"path": "a.h5", "licence": "MIT", "source": "https://example.org"}}}},
        [("the weights file of vgg16", 'MIT</td><td class="text">https://example.org')],
    ),
    "a file without": (
        "one model",
        {"weights": {"files": {"vgg16": "a.h5"}}, "denoise": {"method": "none"}},
        [("the weights file of vgg16", "no licence stated")],
    ),
    "nothing of others": ("one model", {"denoise": {"method": "none"}}, []),
}


@pytest.mark.parametrize(("shape", "changes", "rows"), STUDIED.values(), ids=STUDIED)
def test_the_page_and_the_card_list_the_licences_of_what_the_study_uses(
    studies, shape: str, changes: dict[str, dict], rows: list[tuple[str, str]]
) -> None:
    study = studies(shape)[0]
    for section, values in changes.items():
        study = with_setting(study, section, **values)
    page, model = report_page(study, PROVENANCE), SHAPES[shape].models[0]
    assert Outline(page).addresses
    facts = card_of(SHAPES[shape], model), scores_of(SHAPES[shape], model, 0), data_of(SHAPES[shape]), study.settings
    card = model_card_page(model, model, *facts)
    for what, licence in rows:
        assert f'<th scope="row">{what}</th><td class="text">{licence}' in page
        assert f"| {what} | {licence.split('<')[0]}" in card
    assert ("table-licences" in page) == ("## Licences" in card) == bool(rows)


EXTERNAL = {
    "three networks": ("External cohorts</h2>", False),
    "external, equal": ("a drop is not shown: internal minus external is 0.010", True),
    "external, worse": ("The result does not carry over to hospital_b", True),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_an_external_cohort_is_reported_and_a_drop_beyond_chance_is_a_warning(studies, name: str) -> None:
    words, there = EXTERNAL[name]
    study, page = studies(name)
    assert (words in page) == there
    assert ("does not carry over" in summary_page(study)) == (name == "external, worse")
    assert ("external validity is unknown" in page) != there
    assert ("3 with the label implant" in page) == there


@pytest.mark.parametrize(("name", "there"), [("folds", True), ("repeats", False), ("three networks", False)])
def test_ranks_need_folds(studies, name: str, there: bool) -> None:
    assert ("Friedman" in studies(name)[1]) == there


@pytest.mark.parametrize(("name", "there"), [("three networks", True), ("two classes", False)])
def test_grades_need_ordered_classes(studies, name: str, there: bool) -> None:
    assert ("Agreement on the ordered scale</summary>" in studies(name)[1]) == there


@pytest.mark.parametrize("name", ["outputs", "three networks", "two classes", "one model"])
def test_outputs_of_one_network_are_compared_in_grades(studies, name: str) -> None:
    study, page = studies(name)
    table = grade_pairs_table(study)
    assert ("grade-pairs" in page) == (name == "outputs") == (table is not None)
    said = "1 network with an output for ordered classes: cumulative logits."
    assert (said in page) == (name == "outputs")
    if table:
        (row,) = table.rows
        assert {row[0].text, row[1].text} == {"VGG16", "VGG16, cumulative logits"}
        assert len(row) == len(table.columns) == 6
        pair = study.pairs[study.pairs["one"].isin(NAMED) & study.pairs["other"].isin(NAMED)].iloc[0]
        assert row[2].order == pair["quadratic_weighted_kappa_difference"]
        assert row[4].order == pair["mean_absolute_grade_error_difference"]


def test_a_planned_pair_is_compared_in_grades_too(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["three networks"])
    pairs = pd.read_csv(tmp_path / "metrics/pairs.csv")
    pairs.assign(primary=[1, *[0] * (len(pairs) - 1)]).to_csv(tmp_path / "metrics/pairs.csv", index=False)
    table = grade_pairs_table(read_study(settings, tmp_path))
    assert len(table.rows) == 1 and "planned" in table.caption


def test_names_are_escaped(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>|\"'&"
    settings = write_study(tmp_path, Shape(classes=(nasty, "b")))
    table = pd.read_csv(tmp_path / "metrics/comparison.csv")
    table.loc[0, "title"] = nasty
    table.to_csv(tmp_path / "metrics/comparison.csv", index=False)
    study = read_study(settings, tmp_path)
    page, summary = report_page(study, PROVENANCE), summary_page(study)
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    Outline(page)
    assert "<script>" not in summary.replace("\\<script\\>", "")
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in summary.splitlines() if line.startswith("|")}
    assert len(cells) == 1


@given(st.text())
def test_markdown_text_is_one_line_of_literal_text(text: str) -> None:
    escaped = markdown_text(text)
    assert len(escaped.splitlines()) <= 1
    assert re.sub(r"\\([\\`*_\[\]<>|#])", r"\1", escaped) == " ".join(text.split())


# Figures, summary, card, files


def test_figures_are_compressed_reproducibly(tmp_path: Path) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (900, 2400), np.uint8)
    Image.fromarray(noise).save(tmp_path / "models_cost.png")
    found = picture(tmp_path / "models_cost.png")
    assert (found.width, found.height) == (MAX_WIDTH_PX, 480)
    assert len(found.source) < (tmp_path / "models_cost.png").stat().st_size
    assert picture(tmp_path / "models_cost.png") == found
    assert picture(tmp_path / "models_pairs.png") is None


@every_shape
def test_summary_has_the_result_and_all_models(studies, name: str) -> None:
    study = studies(name)[0]
    text = summary_page(study)
    assert answer(study)[0] in text.replace("\\", "")
    assert len([line for line in text.splitlines() if line.startswith("|")]) == len(study.table) + 3 + study.simulated
    assert "report.html" in text and "\n\n\n" not in text


@every_shape
def test_model_card_has_definition_and_scores(name: str) -> None:
    shape = SHAPES[name]
    model = shape.models[0]
    facts = card_of(shape, model), scores_of(shape, model, 0), data_of(shape), settings_of(shape)
    page = model_card_page(model, "A *title*", *facts)
    assert page.startswith("# A \\*title\\*\n") and "\n\n\n" not in page
    assert "| Balanced accuracy | 0.750 | 0.650 to 0.850 |" in page and f"| weights of {model} | `abab" in page.replace(
        "\\", ""
    )
    assert ("Collapsed" in page) == (model in shape.collapsed) and ("Leak suspected" in page) == shape.leak
    assert ("simulated" in page) == shape.simulated and ("kappa" in page) == shape.ordered
    assert not re.search(r"\b(None|nan)\b", page)


def test_a_changed_split_is_the_first_line(studies) -> None:
    study, page = studies("two classes")
    sentence = "The split that came with the data was changed: 46 of 46 images of test moved to train."
    changed = dataclasses.replace(study, data=study.data | {"given_split_changed": sentence})
    summary = [line for line in summary_page(changed).splitlines() if line]
    assert summary[1] == f"> **Warning.** {sentence}"
    after = report_page(changed, PROVENANCE).split("</h1>")[1]
    assert after.index(sentence) < after.index("balanced accuracy")
    assert "came with the data was changed" not in page + summary_page(study)


def test_stage_is_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = write_study(tmp_path, SHAPES["three networks"])
    (tmp_path / "requirements.txt").write_text("keras==3.11.1\n")
    monkeypatch.chdir(tmp_path)
    stage = runpy.run_path(str(ROOT / "stages/report.py"))
    stage["main"].__globals__["try_to_sync"] = lambda: None
    written = []
    for _ in range(2):
        stage["main"](stage["Settings"](**settings))
        written.append([(tmp_path / path).read_bytes() for path in (stage["REPORT"], stage["SUMMARY"])])
    assert written[0] == written[1] and b"3.11.1" in written[0][0]
    assert len(list((tmp_path / stage["CARDS"]).glob("*.md"))) == 3


@pytest.mark.parametrize(
    "file", ["metrics/headline.json", "metrics/pairs.csv", "metrics/comparison.csv", "data/evaluated/vgg16/model.json"]
)
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    settings = write_study(tmp_path, SHAPES["three networks"])
    (tmp_path / file).unlink()
    with pytest.raises(BonexrayError, match=re.escape(file)):
        read_study(settings, tmp_path)


def test_an_ensemble_has_its_own_figures(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["repeats"])
    details = model_details(read_study(settings, tmp_path), "ensemble_stacking")
    assert len(details["figures"]) == 6 and not details["explained"]


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["three networks"])
    rewritten(tmp_path / "metrics/headline.json", best=None)
    with pytest.raises(BonexrayError, match="none named best"):
        read_study(settings, tmp_path)
