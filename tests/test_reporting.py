"""The comparison table, the choice on validation, the grid of filters and sections in Markdown."""

import io
from collections import defaultdict
from pathlib import Path

import dvc.api
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from bonexray.aggregate.table import COLUMNS, best_on_test, comparison_table
from bonexray.base.errors import BonexrayError
from bonexray.cli import app
from bonexray.evaluate.choice import chosen_on_validation
from bonexray.registry import REGISTRY, Model
from bonexray.results import revisions
from bonexray.results.grid import FILTERS, GRID_COLUMNS, comparable, filter_grid
from bonexray.results.markdown import with_section
from bonexray.results.tables import comparison_sentence, markdown_table, terminal_table, warnings_of

UNCHECKED = [
    "macro_specificity",
    "roc_auc_low",
    "roc_auc_high",
    "macro_average_precision",
    "cohen_kappa",
    "matthews_correlation",
    "log_loss",
    "brier",
    "expected_calibration_error",
    "calibrated_expected_calibration_error",
    "temperature",
    "no_skill_log_loss",
    "val_no_skill_log_loss",
    "largest_predicted_share",
]  # scores of the table that these tests do not check
LONG = "A network with a name that is far longer than any axis has room for"


def scores(balanced: float, **others: float) -> dict[str, float]:
    """Return the scores of a model that is better than chance."""
    return {
        "unit": "image",
        "n": 36,
        "balanced_accuracy": balanced,
        "balanced_accuracy_low": balanced - 0.1,
        "balanced_accuracy_high": balanced + 0.1,
        "accuracy": balanced,
        "accuracy_low": balanced - 0.1,
        "accuracy_high": balanced + 0.1,
        "macro_precision": 0.5,
        "macro_recall": balanced,
        "macro_f1": 0.45,
        "roc_auc": 0.7,
        "baseline_accuracy": 0.4,
        "baseline_balanced_accuracy": 1 / 3,
        "collapsed": 0,
        "nearly_collapsed": 0,
        "val_collapsed": 0,
        "val_balanced_accuracy": 0.5,
        "val_log_loss": 1.0,
        "epochs": 3,
        "leak_suspect": False,
        **dict.fromkeys(UNCHECKED, 0.5),
        **others,
    }


# Tables

STARTS = defaultdict(lambda: "random")
MODELS = {"xception": scores(0.4), "densenet121": scores(0.6), "compact_cnn": scores(0.4), "resnet50": scores(0.3)}


def test_table_is_ranked_by_test_score_and_ties_share_a_rank() -> None:
    table = comparison_table(MODELS, STARTS, ["densenet121"])
    assert list(table.columns) == COLUMNS
    assert list(table["model"]) == ["densenet121", "compact_cnn", "xception", "resnet50"]
    assert list(table["rank"]) == [1, 2, 2, 4]
    assert list(table["title"])[:2] == ["DenseNet121", "Compact CNN"]
    equals = {"xception": scores(0.6), **MODELS}
    assert best_on_test(equals) == comparison_table(equals, STARTS, []).loc[0, "model"] == "densenet121"


def test_table_holds_many_models_with_long_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"model_{i:02d}" for i in range(19)]
    for name in names:
        monkeypatch.setitem(REGISTRY, name, Model(f"{LONG} {name}"))
    table = comparison_table({name: scores(0.2 + 0.03 * i) for i, name in enumerate(names)}, STARTS, names)
    assert list(table["rank"]) == list(range(1, 20))
    assert list(table["model"]) == names[::-1]


def headline_of(chosen: str, **changes: object) -> dict[str, object]:
    plain = {"confidence": 0.95, "leak_suspect": False, "shortcut_balanced_accuracy": None, "balanced_accuracy": 0.6}
    return {"model": chosen, "dataset": "phantom", **plain, **changes}


def shown(models: dict[str, dict[str, float]], chosen: str, **changes: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal_table(comparison_table(models, STARTS, models), headline_of(chosen, **changes)))
    return console.file.getvalue()


def line_of(text: str, title: str) -> str:
    return next(line for line in text.splitlines() if title in line)


def test_terminal_shows_score_interval_choice_and_baseline() -> None:
    text = shown(MODELS, "xception")
    assert "0.600 (0.500 to 0.700)" in line_of(text, "DenseNet121")
    assert "Xception *" in text
    assert "DenseNet121 *" not in text
    assert "0.333" in line_of(text, "always the majority class")
    assert "n = 36 images" in text
    assert "95 % intervals" in text and "90 % intervals" in shown(MODELS, "xception", confidence=0.9)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"shortcut_balanced_accuracy": 0.54}, []),
        (
            {"shortcut_balanced_accuracy": 0.56},
            [
                "Size and format of the file and brightness, contrast and sharpness of the picture alone reach a balanced accuracy of 0.560"
            ],
        ),
        ({"leak_suspect": True}, ["leak_suspect: the dataset's own split has copies"]),
        ({"leak_suspect": True, "shortcut_balanced_accuracy": 0.9}, ["leak_suspect: ", "accuracy of 0.900"]),
    ],
)
def test_warnings_are_shown_with_the_results(changes: dict[str, object], expected: list[str]) -> None:
    warnings = warnings_of(headline_of("xception", **changes))
    assert len(warnings) == len(expected)
    assert all(part in warning for part, warning in zip(expected, warnings, strict=True))
    denoise = dict.fromkeys(["psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after", "images"], 1)
    page = markdown_table(
        comparison_table(MODELS, STARTS, ["densenet121"]), headline_of("xception", **changes), denoise
    )
    assert all(warning in page for warning in warnings) and "balanced accuracy (95 % interval)" in page
    terminal = " ".join(shown(MODELS, "xception", **changes).split())
    assert all(" ".join(part.split()) in terminal for part in expected)


def test_with_folds_the_tables_tell_the_best_model_from_what_the_folds_chose() -> None:
    choice = {"chosen_by_fold": {"1": "vgg16", "2": "xception"}, "balanced_accuracy": 0.41}
    text = " ".join(shown(MODELS, "xception", **choice).split())
    assert "* best over all validation images" in text and "* chosen on validation" not in text
    assert "on test, these choices reach a balanced accuracy of 0.410" in text
    assert "these choices" not in shown(MODELS, "xception")


def test_the_tables_show_a_ceiling_where_the_headline_has_one() -> None:
    ceiling = {
        "ceiling_balanced_accuracy": 0.9,
        "ceiling_balanced_accuracy_low": 0.82,
        "ceiling_balanced_accuracy_high": 0.96,
    }
    quality = dict.fromkeys(["psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after", "images"], 1)
    table = comparison_table(MODELS, STARTS, MODELS)
    for changes in ({}, ceiling):
        page, text = (
            markdown_table(table, headline_of("xception", **changes), quality),
            shown(MODELS, "xception", **changes),
        )
        assert ("ceiling" in text.lower()) == ("ceiling" in page.lower()) == bool(changes)
    assert "0.900 (0.820 to 0.960)" in line_of(text, "ceiling: the true bone of the simulation")
    assert "| | ceiling: the true bone of the simulation | | 0.900 (0.820 to 0.960) | | | |" in page
    assert "which no network sees, reaches a balanced accuracy of 0.900" in page


@pytest.mark.parametrize("absent", [None, float("nan")])
def test_terminal_shows_a_collapse_and_an_undefined_score(absent: float | None) -> None:
    line = line_of(shown({"xception": scores(0.4, collapsed=1, roc_auc=absent)}, "xception"), "Xception")
    assert "collapsed" in line
    assert "–" in line


def test_columns_that_do_not_apply_are_empty_and_others_are_required() -> None:
    models = {
        **MODELS,
        "ensemble_mean": scores(0.7),
        "resnet50": scores(0.3, parameters=5, quadratic_weighted_kappa=0.2),
    }
    table = comparison_table(models, STARTS, ["ensemble_mean"]).set_index("model")
    assert (table.loc["ensemble_mean", "title"], table.loc["ensemble_mean", "kind"]) == ("Ensemble (mean)", "ensemble")
    assert pd.isna(table.loc["ensemble_mean", "val_log_loss"]) and table.loc["resnet50", "val_log_loss"] == 1
    assert table.loc["resnet50", "parameters"] == 5 and pd.isna(table.loc["ensemble_mean", "parameters"])
    assert table.loc["resnet50", "quadratic_weighted_kappa"] == 0.2
    assert table["not_distinguishable"].to_dict() == {name: int(name == "ensemble_mean") for name in table.index}
    incomplete = {name: value for name, value in MODELS["resnet50"].items() if name != "log_loss"}
    with pytest.raises(KeyError, match="log_loss"):
        comparison_table({"resnet50": incomplete}, STARTS, [])


@pytest.mark.parametrize(
    ("alike", "expected"),
    [
        (["densenet121"], "DenseNet121 has the highest test score and differs significantly from every other model"),
        (["densenet121", "xception"], "DenseNet121 has the highest test score; not distinguishable from it: Xception "),
        (list(MODELS), "DenseNet121 has the highest test score, but no other model can be distinguished from it"),
    ],
)
def test_the_highest_score_is_named_with_ties(alike: list[str], expected: str) -> None:
    assert comparison_sentence(comparison_table(MODELS, STARTS, alike)).startswith(expected)
    one, two = ({name: MODELS[name] for name in names} for names in (["resnet50"], ["resnet50", "xception"]))
    assert "the other model cannot be distinguished from it" in comparison_sentence(comparison_table(two, STARTS, two))
    assert "differs significantly from the other model (" in comparison_sentence(
        comparison_table(two, STARTS, ["xception"])
    )
    assert (
        comparison_sentence(comparison_table(one, STARTS, ["resnet50"]))
        == "The study has a single model, so nothing is compared."
    )


# The choice


def test_the_choice_ignores_test_scores() -> None:
    validation = {"xception": 0.5, "densenet121": 0.7, "resnet50": 0.6}
    for highest in validation:
        models = {
            name: scores(0.9 if name == highest else 0.4, collapsed=int(name != highest), val_balanced_accuracy=value)
            for name, value in validation.items()
        }
        assert chosen_on_validation(models) == "densenet121"


def test_validation_log_loss_breaks_ties() -> None:
    models = {"xception": scores(0.4, val_log_loss=1.2), "resnet50": scores(0.3, val_log_loss=0.8)}
    assert chosen_on_validation(models) == "resnet50"


def test_the_choice_ignores_the_order_of_models() -> None:
    assert chosen_on_validation(MODELS) == chosen_on_validation(dict(reversed(MODELS.items())))


def test_a_collapsed_model_is_chosen_only_if_all_are() -> None:
    fallen = scores(0.4, val_collapsed=1, val_balanced_accuracy=0.9)
    assert chosen_on_validation({"xception": fallen, "resnet50": scores(0.4)}) == "resnet50"
    assert (
        chosen_on_validation({"xception": fallen, "resnet50": {**fallen, "val_balanced_accuracy": 0.3}}) == "xception"
    )


# Models and filters


CELL = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "balanced_accuracy")


def experiment(method: str | None, state: str | None = "Success", folds=None, test=0.2, **validation):
    """Return a row of `dvc.api.exp_show`, whose revision holds the validation score of each model and one test score."""
    row = {"State": state, "denoise.method": method, "split.folds": folds or "None", "rev": f"exp{len(SCORES_AT)}"}
    SCORES_AT[row["rev"]] = {
        model: {
            **{f"val_{name}": value for name in CELL},
            **{"val_n": 30, "val_collapsed": 0, "val_log_loss": 1.0, "n": 36},
            **{"balanced_accuracy": test, "balanced_accuracy_low": test - 0.1, "balanced_accuracy_high": test + 0.1},
        }
        for model, value in validation.items()
    }
    return row


SCORES_AT: dict[str, dict] = {}


def grid_of(experiments: list[dict]) -> pd.DataFrame:
    """Return the table of experiments made by `experiment`."""
    return filter_grid(experiments, SCORES_AT.__getitem__)


def test_a_grid_has_a_row_for_each_model_and_filter() -> None:
    table = grid_of(
        [
            experiment("bm3d", state=None, vgg16=0.5, alexnet=0.4, texture=0.9),
            experiment("median", vgg16=0.7, alexnet=None),
            experiment("bm3d", vgg16=0.1),
            experiment("tv", state="Running", vgg16=1.0),
            experiment(None, vgg16=1.0),
        ]
    )
    assert list(table.columns) == GRID_COLUMNS
    assert GRID_COLUMNS[:7] == ["Model", "Filter", "Accuracy", "Precision", "Recall", "F1-Score", "Scored on"]
    found = list(table[["Model", "Filter", "Accuracy"]].itertuples(index=False, name=None))
    assert found == [("alexnet", "bm3d", 0.4), ("vgg16", "median", 0.7), ("vgg16", "bm3d", 0.5)]
    assert set(table["Scored on"]) == {"validation"} and set(table["Images"]) == {30}


@pytest.mark.parametrize(
    ("validation", "test", "chosen"),
    [((0.7, 0.5), (0.4, 0.9), 0), ((0.5, 0.7), (0.9, 0.4), 1), ((0.6, 0.5), (0.8, 0.7), 0)],
)
def test_a_grid_chooses_on_validation_and_shows_the_test_of_the_choice_alone(validation, test, chosen: int) -> None:
    rows = [experiment(f"filter{i}", test=test[i], vgg16=validation[i]) for i in (0, 1)]
    table = grid_of(rows).set_index("Filter")
    tested = table[table["Test balanced accuracy"].notna()]
    assert list(tested.index) == list(table.index[table["Chosen"] == 1]) == [f"filter{chosen}"]
    scores = tested.iloc[0][["Test balanced accuracy", "Test low", "Test high", "Test images"]]
    assert list(scores) == pytest.approx([test[chosen], test[chosen] - 0.1, test[chosen] + 0.1, 36])
    others = table.drop(columns=["Chosen", *scores.index])
    assert all(value not in others.to_numpy() for value in set(test) - set(validation))


def test_a_grid_of_folds_has_no_test_score() -> None:
    table = grid_of([experiment(kind, folds=5, vgg16=value) for kind, value in (("none", 0.4), ("tv", 0.5))])
    assert list(table["Chosen"]) == [1, 0] and table["Test images"].isna().all()


@pytest.mark.parametrize(
    ("changed", "differing"),
    [
        ({"denoise.method": "tv", "denoise.options.weight": 0.2, "model": "vgg16"}, []),
        ({"models.vgg16.mode": "full", "track.experiment": "other"}, []),
        ({"train.epochs": 2.0}, ["train.epochs"]),
        ({"split.folds": 3.0}, ["split.folds"]),
        ({"split.folds": None}, []),
        ({"denoise.sigma": 0.1, "train.epochs": 2.0}, ["denoise.sigma", "train.epochs"]),
    ],
)
def test_a_grid_compares_experiments_of_equal_settings(changed: dict, differing: list[str]) -> None:
    workspace = experiment("bm3d", vgg16=0.5) | {"train.epochs": 25.0, "denoise.sigma": "None", "model": "all"}
    other = workspace | changed
    kept, differences = comparable([workspace, other], [name for name in other if name != "rev"])
    assert kept == [workspace, *([] if differing else [other])]
    assert differences == dict.fromkeys(differing, 1)


def test_a_grid_without_experiments_is_empty() -> None:
    assert grid_of([]).empty


def test_grid_names_the_command_that_updates_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("denoise: {method: bm3d}\ntrain: {epochs: 2}\n")
    rows = [experiment("bm3d", vgg16=0.5), experiment("tv", vgg16=0.4), experiment("tv", alexnet=0.4)]
    rows = [row | {"train.epochs": epochs} for row, epochs in zip(rows, (2.0, 2.0, 25.0), strict=True)]
    monkeypatch.setattr(dvc.api, "exp_show", lambda: rows)
    monkeypatch.setattr(revisions, "models_at", SCORES_AT.__getitem__)
    shown = CliRunner().invoke(app, ["grid"]).output
    assert "differ from the workspace in (experiments): train.epochs (1)" in shown
    assert "2 rows, 1 models, 2 filters: reports/benchmark_results.csv" in shown
    assert "dvc repro" in shown
    assert len(pd.read_csv(FILTERS)) == 2
    elsewhere = CliRunner().invoke(app, ["grid", "--out", "grid.csv"]).output
    assert "grid.csv" in elsewhere and "dvc repro" not in elsewhere


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ({}, "Filtering raised PSNR from 1.0 to 2.0 dB and SSIM from 0.10 to 0.20 (n = 24 images)."),
        (
            {"added_sigma": 0.086},
            "On 24 images to which noise of sigma 0.086 was added, filtering raised PSNR from 1.0 to 2.0 dB and SSIM from "
            "0.10 to 0.20.",
        ),
    ],
)
def test_the_sentence_on_quality_says_what_was_measured(added: dict[str, float], expected: str) -> None:
    quality = {
        "psnr_before_db": 1.0,
        "psnr_after_db": 2.0,
        "ssim_before": 0.1,
        "ssim_after": 0.2,
        "images": 24,
        **added,
    }
    table = comparison_table(MODELS, STARTS, ["densenet121"])
    assert f"n = 36 test images. {expected}\n" in markdown_table(table, headline_of("xception"), quality)


def test_a_short_table_has_the_best_and_the_chosen_model() -> None:
    comparison = comparison_table(MODELS, STARTS, ["densenet121"])
    worst = comparison.iloc[-1]["model"]
    denoise = dict.fromkeys(["psnr_before_db", "psnr_after_db", "ssim_before", "ssim_after", "images"], 1)
    whole, short = (markdown_table(comparison, headline_of(worst), denoise, top).splitlines() for top in (None, 1))
    assert short == [*whole[:3], *whole[whole.index("") - 2 :]]  # head, best; chosen, baseline, and all below


SECTION = "before\n<!-- results: written by `x --into y` -->\nold\nlines\n<!-- end of results -->\nafter\n"


def test_a_section_is_replaced_between_its_markers() -> None:
    text = with_section(SECTION, "results", "new \\1")
    assert text == SECTION.replace("old\nlines", "new \\1")
    assert with_section(text, "results", "new \\1") == text


@pytest.mark.parametrize(
    "text", ["", SECTION * 2, SECTION.replace("results", "models"), SECTION.replace("<!-- end", "")]
)
def test_missing_or_repeated_markers_are_refused(text: str) -> None:
    with pytest.raises(BonexrayError, match="the Markdown file: expected"):
        with_section(text, "results", "new")
