"""Texts of the report: result, warnings, questions, other systems, checklists and provenance."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import SHAPES, Shape, card_of, rewritten, write_study

from bonexray.base.errors import BonexrayError
from bonexray.report.checklists import CLAIM, TRIPOD, checklist, statements
from bonexray.report.contents import report_page
from bonexray.report.data import ReportSettings, Study, read_study
from bonexray.report.prediction_sets import sets_sentences, sets_table, sets_warning
from bonexray.report.provenance import Provenance, provenance
from bonexray.report.questions import best_network, pair_of, preprocessing, transfer
from bonexray.report.sources import reported, wilson
from bonexray.report.tables import pairs_table, sources_table
from bonexray.report.text import answer, limitations, more_patients, study_warnings
from bonexray.results.wording import large, p_value

every_shape = pytest.mark.parametrize("name", SHAPES)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """Return a study of each shape."""
    roots = {name: tmp_path_factory.mktemp("study") for name in SHAPES}
    return {name: read_study(write_study(root, SHAPES[name]), root) for name, root in roots.items()}


# Result, warnings and limitations


def test_result_names_choice_interval_n_and_baseline(studies) -> None:
    text = " ".join(answer(studies["three networks"]))
    for fact in ("VGG16 was chosen on validation", "0.750", "95 % interval 0.650 to 0.850", "36 test images", "0.333"):
        assert fact in text
    assert "VGG16 has the highest test score, but no other model can be distinguished from it" in text
    assert "no model is established as the best" in text
    assert "VGG16 has the highest test score and differs significantly from every other model" in " ".join(
        answer(studies["decided"])
    )
    assert "highest test score" not in " ".join(answer(studies["one model"]))


def test_more_patients_are_said_to_help_only_where_the_interval_excludes_0(studies) -> None:
    rising, flat = more_patients(studies["decided"]), more_patients(studies["three networks"])
    for text in (rising, flat):
        assert text.startswith(
            "From 60 to all 120 training patients, the balanced accuracy of VGG16 changes by +0.050 (95 %"
        )
        assert text.count(".") - len(re.findall(r"\d\.\d", text)) == 1, "one sentence"
    assert "still rising" in rising and "an extrapolation" in rising and "nothing about more than a doubling" in rising
    assert flat.endswith("(95 % interval −0.010 to +0.110): more patients of this kind are not shown to help.")


def test_the_curve_names_its_models_and_its_split(studies) -> None:
    def section(name: str) -> str:
        page = report_page(studies[name], Provenance({}, ()))
        return " ".join(re.sub(r"<[^>]+>", " ", page.split('<h2 id="patients">')[1].split("<figure")[0]).split())

    assert (
        "shows VGG16, the best linear head on a frozen backbone on validation; and, without a network, ResNet50."
        in section("three networks")
    )
    assert "because the study has no linear head" not in section("three networks")
    assert "because the study has no linear head on a single frozen backbone" in section("one model")
    assert ("Only the split of the first training is used" in section("three networks")) is False
    for name in ("folds", "repeats"):
        assert f"Only the split of the first training is used, whatever the number of {name}." in section(name)


def test_prediction_sets_are_explained_and_their_coverage_is_stated(studies) -> None:
    meaning, reached = sets_sentences(studies["three networks"])
    assert meaning.endswith(
        "chosen so that for 90 % of new patients of each class the true class is in the sets of all their images; the "
        "threshold comes from 30 validation patients."
    )
    assert reached == (
        "On 32 test patients the sets of VGG16 contained it for 0.900 (95 % interval 0.800 to 0.960), with 1.40 "
        "classes in a set on average and a single one in 0.62 of them."
    )
    assert sets_sentences(studies["two classes"])[0].endswith(
        "for 90 % of new patients the true class is in the sets of all their images; the threshold comes from 30 validation "
        "patients, too few of some class to promise this for each."
    )
    assert "from 30 validation patients in the smallest fold" in sets_sentences(studies["folds"])[0]
    (refusal,) = sets_sentences(studies["one model"])
    assert (
        refusal.startswith("No prediction sets: they need at least 10 validation patients") and "there are 9" in refusal
    )
    assert sets_sentences(studies["decided"]) == []
    assert 'id="prediction-sets"' not in report_page(studies["decided"], Provenance({}, ()))


def test_the_table_of_sets_has_every_model_and_class(studies) -> None:
    study = studies["three networks"]
    table = sets_table(study)
    assert list(table.columns[:5]) == ["Model", "Coverage", *study.classes]
    assert [row[0].text for row in table.rows] == list(study.table["title"])
    assert (table.rows[0][1].text, table.rows[0][1].sub, table.rows[0][5].text) == ("0.900", "0.800 to 0.960", "1.40")
    assert sets_table(studies["one model"]) is None and sets_table(studies["decided"]) is None


@pytest.mark.parametrize(
    ("low", "high", "warning"),
    [
        (0.8, 0.95, ""),
        (0.6, 0.89, "The interval of the coverage excludes what was promised: VGG16 (below it)."),
        (0.91, 0.99, "The interval of the coverage excludes what was promised: VGG16 (above it)."),
    ],
)
def test_a_coverage_whose_interval_excludes_the_promise_is_a_warning(
    tmp_path: Path, low: float, high: float, warning: str
) -> None:
    settings = write_study(tmp_path, Shape(models=("vgg16",), explained=False))
    scores = json.loads((tmp_path / "metrics/models.json").read_text())
    changed = {**scores["vgg16"], "set_coverage_low": low, "set_coverage_high": high}
    rewritten(tmp_path / "metrics/models.json", vgg16=changed)
    study = read_study(settings, tmp_path)
    assert sets_warning(study) == warning
    assert warning in report_page(study, Provenance({}, ()))


def test_result_has_a_ceiling_only_for_simulated_images(studies) -> None:
    for name, shape in SHAPES.items():
        text = " ".join(answer(studies[name]))
        assert ("Ceiling: a logistic regression on the true trabecular volume" in text) == shape.simulated
        assert ("0.900 (0.820 to 0.960)" in text) == shape.simulated


def test_result_separates_choice_and_highest_test_score(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["three networks"])
    rewritten(tmp_path / "metrics/headline.json", model="resnet50", balanced_accuracy=0.7)
    text = " ".join(answer(read_study(settings, tmp_path)))
    assert "ResNet50 was chosen on validation" in text and "VGG16 has the highest test score" in text


def test_leaks_and_collapses_are_warned_of(studies) -> None:
    warnings = " ".join(study_warnings(studies["in trouble"]))
    assert "leak_suspect" in warnings and "VGG16 and ResNet50" in warnings
    assert study_warnings(studies["three networks"]) == []


def test_a_model_no_better_than_the_majority_class_is_warned_of(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["three networks"])
    rewritten(tmp_path / "metrics/headline.json", balanced_accuracy_low=0.3)
    assert "does not show that it learned anything" in " ".join(study_warnings(read_study(settings, tmp_path)))


def test_limitations_depend_on_the_study(studies) -> None:
    simulated, real = (" ".join(limitations(studies[name])) for name in ("three networks", "two classes"))
    assert "simulated radiographs" in simulated and "name no patients" not in simulated
    assert "simulated radiographs" not in real and "name no patients" in real
    assert "One split." not in " ".join(limitations(studies["folds"]))
    assert "trained once" not in " ".join(limitations(studies["repeats"]))


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (float("nan"), "–"), (0.0, "< 0.001"), (0.04, "0.040"), (1.0, "1.000")]
)
def test_p_values_are_never_written_as_zero(value: float | None, text: str) -> None:
    assert p_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.53e12, "1.53 T"),
        (1.53e10, "15.3 G"),
        (67075, "67.1 k"),
        (3, "3"),
        (999_999, "1 M"),
        (999.6, "1 k"),
        (None, "–"),
    ],
)
def test_large_numbers_have_a_unit_prefix(value: float | None, text: str) -> None:
    assert large(value) == text


# The three questions


def test_transfer_needs_pretrained_and_scratch_networks(studies) -> None:
    assert transfer(studies["three networks"]).answers == ()
    assert "imagenet" in transfer(studies["three networks"]).command
    assert "The study does not decide it" in transfer(studies["transfer"]).answers[1]
    assert "Yes, in this study: difference +0.100" in transfer(studies["decided"]).answers[1]


def test_a_pretrained_network_is_compared_with_itself_at_random(studies) -> None:
    answer, *others = transfer(studies["control"]).answers
    assert answer.startswith("The same network with random weights: EfficientNet-Lite0, random with 0.700")
    assert (
        "and EfficientNet-Lite0 with 0.750" in answer and "with ImageNet weights. The study does not decide" in answer
    )
    assert len(others) == 3 and others[0].startswith("1 network from ImageNet weights")


def test_the_order_of_a_pair_does_not_matter(studies) -> None:
    study = studies["three networks"]
    there, back = pair_of(study, "vgg16", "compact_cnn"), pair_of(study, "compact_cnn", "vgg16")
    assert there["difference"] == -back["difference"] == pytest.approx(0.1)
    assert there["difference_low"] == -back["difference_high"] <= there["difference"]


def test_best_network_is_named_with_ties(studies) -> None:
    tied, decided = best_network(studies["three networks"]), best_network(studies["decided"])
    assert (
        "ResNet50 and Compact CNN (2 of 2; n = 36)" in tied.answers[1]
        and "does not establish a best" in tied.answers[2]
    )
    assert "Every other model differs" in decided.answers[1]
    assert best_network(studies["one model"]).answers == ()


def test_preprocessing_separates_image_quality_and_predictions(studies) -> None:
    one, many = preprocessing(studies["three networks"]), preprocessing(studies["transfer"])
    assert "21.2 to 31.6 dB" in one.answers[0] and "not addressed by this study" in one.answers[1] and one.command
    assert "bm3d 0.700, median 0.600, none 0.500" in many.answers[1] and "bm3d for 3 of 3" in many.answers[2]
    assert "(n = 24 images, against the clean originals)" in one.answers[0]
    assert "(n = 24 of 216 images, with added noise of sigma 0.086, against the same" in many.answers[0]
    assert not many.command


def test_filters_are_compared_on_validation_and_the_chosen_one_alone_is_tested(studies) -> None:
    means, gains, chosen = preprocessing(studies["transfer"]).answers[1:]
    assert "on 36 validation images" in means and "on validation" in gains
    assert not re.search(r"\btest\b", means + gains)
    assert chosen == (
        "Chosen on validation from all 9 pairs of network and filter: VGG16 with bm3d, 0.700. On test, which took no "
        "part in this choice: 0.550 (0.400 to 0.680) (n = 41)."
    )


def test_no_test_score_is_claimed_for_filters_chosen_with_folds(tmp_path: Path) -> None:
    settings = write_study(tmp_path, Shape(folds=5, filters=("none", "median")))
    assert "so it took part in the choice" in preprocessing(read_study(settings, tmp_path)).answers[-1]


def test_a_table_of_filters_that_holds_test_scores_is_refused(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["transfer"])
    path = tmp_path / "reports/benchmark_results.csv"
    pd.read_csv(path)[["Model", "Filter", "Accuracy", "Precision", "Recall", "F1-Score"]].to_csv(path, index=False)
    with pytest.raises(BonexrayError, match=r"benchmark_results\.csv: expected validation scores.*run `bonexray grid`"):
        read_study(settings, tmp_path)


def test_an_undefined_p_decides_nothing(tmp_path: Path) -> None:
    settings = write_study(tmp_path, SHAPES["decided"])
    pairs = pd.read_csv(tmp_path / "metrics/pairs.csv").assign(p_bootstrap_holm=np.nan)
    pairs.to_csv(tmp_path / "metrics/pairs.csv", index=False)
    study = read_study(settings, tmp_path)
    assert "The study does not decide it" in transfer(study).answers[1]
    assert pairs_table(study) is None


# Other systems, checklists, provenance


def test_wilson_equals_published_intervals() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # Newcombe 1998, method 3
    assert wilson(0.0, 10)[0] == pytest.approx(0)


def test_reported_accuracies_have_an_interval_if_n_is_known() -> None:
    rows = list(reported())
    assert len({source.name for source, *_ in rows}) == 5
    for source, _, accuracy, interval in rows:
        assert (interval is None) == (source.n is None)
        assert interval is None or interval[0] < accuracy < interval[1]


def test_other_systems_are_listed_with_networks_of_the_same_name(studies) -> None:
    rows = {(row[0].text, row[2].text): row for row in sources_table(studies["three networks"]).rows}
    shared, foreign = rows["Osteoporosis, twelve networks", "VGG16"], rows["Osteoporosis, twelve networks", "VGG19"]
    assert [cell.text for cell in shared[3:]] == ["0.72", "540", "0.750", "36"] and shared[3].sub == "0.68 to 0.76"
    assert [cell.text for cell in foreign[3:]] == ["0.67", "540", "–", "–"]


@pytest.mark.parametrize("items", [CLAIM, TRIPOD], ids=["CLAIM", "TRIPOD+AI"])
@every_shape
def test_items_have_a_statement_or_are_left_to_the_authors(studies, items: tuple, name: str) -> None:
    study = studies[name]
    texts = dict(checklist(items, study))
    assert list(texts) == list(items)
    assert all((text is None) == (item.statement is None) for item, text in texts.items())
    assert any(texts.values()) and None in texts.values()
    assert {item.statement for item in (*CLAIM, *TRIPOD)} - {None} == set(statements(study))


def test_statements_are_of_what_the_study_did(studies) -> None:
    study = studies["three networks"]
    chosen = {"chosen": {"strength": 1.0}}
    modes = dict(zip(study.networks, ("frozen", "fine_tune"), strict=False))  # fine-tuning begins with a linear head
    linear = {name: {**study.cards[name], **chosen, "mode": mode} for name, mode in modes.items()}
    both = statements(replace(study, cards={**study.cards, **linear}))["training"]
    assert "1 linear head on cached features" in both and "2 networks by gradients: up to" in both
    alone = statements(study)["training"]
    assert "linear" not in alone and "3 networks by gradients" in alone
    settings = ReportSettings(study.settings | {"dataset": study.settings.dataset | {"clinical": ["age", "bmi"]}})
    known = replace(study, settings=settings, clinical={"models": {"both": {}}}, subgroups={"sex": {}})
    unknown = replace(study, clinical={"models": {}}, subgroups={})
    for key, told, untold in (
        ("missing", "most frequent word of training", "nothing is imputed"),
        ("predictors", "age and bmi only under Clinical variables", "no clinical variable"),
        ("balance", "Subgroups for sex", "no column was named for subgroups"),
    ):
        assert told in statements(known)[key] and untold in statements(unknown)[key], key


def test_checklists_are_complete() -> None:
    assert [item.number for item in CLAIM] == [str(number) for number in range(1, 45)]
    assert {int(re.match(r"\d+", item.number)[0]) for item in TRIPOD} == set(range(1, 28))


def test_versions_are_those_that_the_study_pins(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# why\nkeras==3.11.1\ndvc[s3]==3.60.1  # why\n")
    assert provenance({}, tmp_path) == Provenance({"keras": "3.11.1", "dvc": "3.60.1"}, ())


def test_hashes_come_from_the_models_cards(tmp_path: Path) -> None:
    cards = {name: card_of(Shape(), name) for name in ("vgg16", "compact_cnn")}
    assert provenance(cards, tmp_path).hashes == (
        ("data/prepared/images.npy", "ef" * 32),
        ("data/split/manifest.csv", "cd" * 32),
        ("models/compact_cnn (fingerprint of its training)", "01" * 32),
        ("models/vgg16 (fingerprint of its training)", "01" * 32),
        ("weights/vgg16.weights.h5", "ab" * 32),
    )


def test_provenance_reads_neither_git_nor_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("keras==3.11.1\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a command was run"))
    without = provenance({}, tmp_path)
    (tmp_path / "dvc.lock").write_text("stages: {}")
    assert provenance({}, tmp_path) == without
