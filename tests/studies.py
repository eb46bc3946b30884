"""Small synthetic files of a finished study, for the tests of the report."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from study_figures import draw_figures

from bonexray.base.files import write_json
from bonexray.external.settings import ExternalCohort
from bonexray.registry import BACKBONES, REGISTRY, model_row, variant_of
from bonexray.report.data import ReportSettings
from bonexray.study import load_settings

ROOT = Path(__file__).resolve().parents[1]
COHORT = "hospital_b"
SCORES = (
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "macro_specificity",
    "roc_auc",
    "macro_average_precision",
    "cohen_kappa",
    "matthews_correlation",
    "log_loss",
    "brier",
    "expected_calibration_error",
    "expected_calibration_error_if_calibrated",
    "calibrated_expected_calibration_error",
    "calibrated_log_loss",
)
CEILING = {
    "ceiling_balanced_accuracy": 0.9,
    "ceiling_balanced_accuracy_low": 0.82,
    "ceiling_balanced_accuracy_high": 0.96,
}
ORDERED = ("quadratic_weighted_kappa", "mean_absolute_grade_error")


@dataclass(frozen=True)
class Shape:
    """The properties of a study."""

    models: tuple[str, ...] = ("vgg16", "resnet50", "compact_cnn")
    classes: tuple[str, ...] = ("normal", "osteopenia", "osteoporosis")
    ensembles: tuple[str, ...] = ()
    repeats: int = 1
    folds: int = 1
    ordered: bool = True
    imagenet: bool = False
    simulated: bool = True
    leak: bool = False
    collapsed: tuple[str, ...] = ()
    nearly_collapsed: tuple[str, ...] = ()
    unit: str = "image"
    no_skill: float = 1.1  # log loss
    sets: str = "by class"  # of the prediction sets: for all together, few (patients), none
    operating: bool = False  # whether a threshold is fixed on validation
    filters: tuple[str, ...] = ()
    gap: float | None = None  # corrected p of a gap between subgroups; None for a study without a record
    explained: bool = True
    undefined: tuple[str, ...] = ()
    external: float | None = None  # drop in balanced accuracy on an external cohort; None for no cohort
    clear: bool = False  # whether the first model differs significantly from every other


SHAPES = {
    "three networks": Shape(),
    "one model": Shape(models=("vgg16",), explained=False, sets="few"),
    "two classes": Shape(
        models=("vgg16", "resnet50"), classes=("fractured", "whole"), ordered=False, simulated=False, sets="together"
    ),
    "six classes": Shape(
        classes=tuple(f"Körperteil, der sehr lang heißt, Nummer {i}" for i in range(6)), ordered=False
    ),
    "folds": Shape(folds=5),
    "repeats": Shape(repeats=3, ensembles=("mean", "stacking")),
    "transfer": Shape(imagenet=True, simulated=False, filters=("none", "median", "bm3d")),
    "in trouble": Shape(
        leak=True,
        collapsed=("vgg16", "resnet50"),
        nearly_collapsed=("compact_cnn",),
        no_skill=0.68,
        undefined=("roc_auc",),
    ),
    "by patient": Shape(unit="patient", operating=True),
    "a record": Shape(gap=0.4),
    "an unequal record": Shape(gap=0.003),
    "decided": Shape(imagenet=True, clear=True, sets=""),
    "external, equal": Shape(external=0.01, operating=True),
    "external, worse": Shape(external=0.25),
    "outputs": Shape(models=("vgg16", "vgg16_cumulative", "small_cnn")),
    "control": Shape(models=("efficientnet_lite0", "efficientnet_lite0_random", "compact_cnn"), imagenet=True),
}


def start_of(shape: Shape, name: str) -> str:
    """Return what a network of a study starts from."""
    backbones = [BACKBONES[backbone] for backbone in model_row(name).backbones]
    if not backbones:
        return "scratch"
    return "imagenet" if shape.imagenet and all(row.published for row in backbones) else "random"


def settings_of(shape: Shape) -> ReportSettings:
    """Return this repository's settings with the study's data set and weights, as the report reads them."""
    settings = load_settings(ROOT / "params.yaml")
    data = {"name": "trial", "simulated": {"cohort": "data/phantom"} if shape.simulated else {}}
    data |= {} if shape.simulated else {"reference": None, "group_pattern": None}
    weights = settings.weights.model_copy(update={"source": "imagenet" if shape.imagenet else "random"})
    dataset = settings.dataset.model_copy(update=data)
    target = {"sensitivity": 0.9, "positive": shape.classes[-1]} if shape.operating else {}
    evaluate = settings.evaluate.model_copy(update={"unit": shape.unit, **target})
    external = {} if shape.external is None else {COHORT: ExternalCohort(root="data/b")}
    changed = settings.model_copy(
        update={"dataset": dataset, "weights": weights, "evaluate": evaluate, "external": external}
    )
    return ReportSettings(changed.model_dump())


def write_study(root: Path, shape: Shape) -> ReportSettings:
    """Write all files of a finished study, and return its settings."""
    names = [*shape.models, *(f"ensemble_{kind}" for kind in shape.ensembles)]
    scores = {name: scores_of(shape, name, index) for index, name in enumerate(names)}
    alike = [] if shape.clear else names[1:]
    table = pd.DataFrame([row_of(shape, name, scores[name], name in alike) for name in names]).sort_values(
        "balanced_accuracy", ascending=False
    )
    table.insert(0, "rank", range(1, len(table) + 1))
    write_json(root / "metrics/models.json", {name: scores[name] for name in shape.models})
    write_json(root / "metrics/ensembles.json", ensembles_of(shape, scores))
    table.to_csv(root / "metrics/comparison.csv", index=False)
    chosen = scores[names[0]]
    write_json(
        root / "metrics/headline.json",
        {
            "model": names[0],
            "dataset": "trial",
            "models": len(names),
            **chosen,
            "best": names[0],
            "not_distinguishable": alike,
            "confidence": 0.95,
            "repeats": shape.repeats,
            "folds": shape.folds,
            "shortcut_balanced_accuracy": 0.35,
            **(CEILING if shape.simulated else {}),
        },
    )
    write_json(root / "metrics/data.json", data_of(shape))
    if shape.external is not None:
        write_json(root / f"metrics/external/{COHORT}.json", external_of(shape, scores))
    write_json(root / "metrics/subgroups.json", {"model": names[0], "columns": subgroups_of(shape)})
    write_json(root / "metrics/clinical.json", clinical_of(shape, names[0]))
    write_json(root / "metrics/confounders.json", confounders_of(shape, names[0]))
    quality = {"images": 24, "psnr_before_db": 21.2, "psnr_after_db": 31.6, "ssim_before": 0.31, "ssim_after": 0.89}
    write_json(root / "metrics/denoise.json", quality)
    for name in shape.models:
        write_json(root / f"data/evaluated/{name}/model.json", card_of(shape, name))
        if shape.explained:
            write_json(
                root / f"reports/explained/{name}/sanity_check.json",
                {"images": 6, "right": 3, "wrong": 3, "randomised_likeness": 0.12},
            )
    if len(names) > 1:
        pairs_of(scores, shape.clear, shape.ordered).to_csv(root / "metrics/pairs.csv", index=False)
    several = shape.folds > 1
    if several:
        ranks = {name: float(index + 1) for index, name in enumerate(names)}
        write_json(
            root / "metrics/ranks.json", {"statistic": 4.2, "p": 0.12, "mean_ranks": ranks, "critical_difference": 1.4}
        )
    curve_of(shape).to_csv(root / "metrics/learning_curve.csv", index=False)
    (root / "reports").mkdir(exist_ok=True)
    if shape.filters:
        grid = [
            cell_of(
                name, kind, 0.5 + i / 10, chosen=(name, kind) == (shape.models[0], shape.filters[-1]), folds=shape.folds
            )
            for name in shape.models
            for i, kind in enumerate(shape.filters)
        ]
        pd.DataFrame(grid).to_csv(root / "reports/benchmark_results.csv", index=False)
    draw_figures(
        root / "reports",
        shape.models,
        shape.ensembles,
        ranks=several,
        explained=shape.explained,
        sets=shape.sets in ("by class", "together"),
        cohort="" if shape.external is None else COHORT,
    )
    return settings_of(shape)


def external_of(shape: Shape, scores: dict[str, dict]) -> dict[str, object]:
    """Return the content of metrics/external/<cohort>.json; a drop of more than 0.1 is beyond chance."""
    drop, wide = float(shape.external), 0.1
    drops = {
        "drop_balanced_accuracy": drop,
        "drop_balanced_accuracy_low": drop - wide,
        "drop_balanced_accuracy_high": drop + wide,
    }
    learned = {"patients": 20, "n": 60, **dict.fromkeys(("before_log_loss", "before_expected_calibration_error"), 0.9)}
    learned |= dict.fromkeys(("after_log_loss", "after_expected_calibration_error"), 0.5)
    models = {
        name: {
            **scores[name],
            **drops,
            "internal_balanced_accuracy": scores[name]["balanced_accuracy"],
            "balanced_accuracy": scores[name]["balanced_accuracy"] - drop,
            "unit": "image",
            "n": 80,
            "recalibration": learned,
        }
        for name in shape.models
    }
    counts = {"classes": dict.fromkeys(shape.classes, 26), "left_out": {"a copy of a development image": 2}}
    return {"images": 80, "patients": 41, **counts, "unmapped": {"implant": 3}, "models": models}


def cell_of(model: str, kind: str, value: float, *, chosen: bool, folds: int) -> dict[str, object]:
    """Return the row of a model and filter in reports/benchmark_results.csv, with its test score if it is the chosen one."""
    scores = dict.fromkeys(("Accuracy", "Precision", "Recall", "F1-Score", "Balanced accuracy"), value)
    test = {"Test balanced accuracy": 0.55, "Test low": 0.4, "Test high": 0.68, "Test images": 41}
    return {
        **{"Model": model, "Filter": kind, **scores, "Scored on": "validation", "Images": 36, "Chosen": int(chosen)},
        **(test if chosen and folds == 1 else dict.fromkeys(test)),
    }


def scores_of(shape: Shape, name: str, index: int) -> dict[str, object]:
    """Return the scores of a model, lower the higher its index."""
    value = 0.75 - 0.05 * index
    scores: dict[str, object] = {"unit": shape.unit, "n": 36, "n_groups": 32}
    for score in (*SCORES, *(ORDERED if shape.ordered else ())):
        defined = None if score in shape.undefined else value
        scores |= {score: defined, f"{score}_low": defined and value - 0.1, f"{score}_high": defined and value + 0.1}
        if shape.repeats > 1:
            scores |= {f"{score}_sd": defined and 0.02}
    if shape.operating:
        rates = ("sensitivity", "specificity", "ppv", "npv")
        scores |= {f"operating_{rate}": value for rate in rates}
        scores |= {
            f"operating_{rate}_{end}": value + gap for rate in rates for end, gap in (("low", -0.2), ("high", 0.1))
        }
        scores |= {"operating_positive": shape.classes[-1], "operating_threshold": 0.3, "operating_n": 32}
        scores |= {"operating_positives": 11, "operating_prevalence": 0.34, "val_operating_sensitivity": 0.91}
    of_a_class = dict.fromkeys(("precision", "recall", "specificity", "f1", "roc_auc"), value) | {"support": 12}
    if shape.sets:
        scores |= {"set_promised": 0.9, "set_val_patients": 9 if shape.sets == "few" else 30}
    if shape.sets in ("by class", "together"):
        of_a_class |= sets_of(value)
        scores |= {**sets_of(value), "set_by_class": int(shape.sets == "by class"), "set_patients": 32}
        scores |= {"set_size": 1.4, "set_single": 0.62, "set_empty": 0.02, "set_all": 0.1}
    scores["classes"] = {label: dict(of_a_class) for label in shape.classes}
    return scores | {
        "temperature": 1.3,
        "baseline_accuracy": 0.39,
        "baseline_balanced_accuracy": 1 / len(shape.classes),
        "no_skill_log_loss": shape.no_skill,
        "collapsed": int(name in shape.collapsed),
        "nearly_collapsed": int(name in (*shape.collapsed, *shape.nearly_collapsed)),
        "leak_suspect": shape.leak,
        "val_balanced_accuracy": value + 0.01,
        "val_log_loss": 1 - value,
        "epochs": 13,
        "parameters": 14_714_688 + index,
        "multiply_adds": 1.53e10,
        "file_mb": 0.3,
    }


def sets_of(value: float) -> dict[str, float]:
    """Return the coverage of a model's prediction sets, lower the lower its score."""
    reached = min(1.0, value + 0.15)
    return {"set_coverage": reached, "set_coverage_low": reached - 0.1, "set_coverage_high": min(1.0, reached + 0.06)}


def ensembles_of(shape: Shape, scores: dict[str, dict]) -> dict[str, object]:
    """Return the content of metrics/ensembles.json."""
    names = [f"ensemble_{kind}" for kind in shape.ensembles]
    return {name: {"members": list(shape.models), "fitted": {}, "scores": scores[name]} for name in names}


def row_of(shape: Shape, name: str, scores: dict, alike: bool) -> dict[str, object]:
    """Return the row of a model in metrics/comparison.csv."""
    network = variant_of(name)[0] in REGISTRY
    title = model_row(name).title if network else f"Ensemble ({name.removeprefix('ensemble_')})"
    start = start_of(shape, name) if network else "scratch"
    flat = {key: scores[key] for key in ("unit", "n", "balanced_accuracy", "accuracy", "collapsed", "leak_suspect")}
    return {
        "model": name,
        "title": title,
        "kind": "model" if network else "ensemble",
        "starts_from": start if network else None,
        "not_distinguishable": int(alike),
        **flat,
    }


def data_of(shape: Shape) -> dict[str, object]:
    """Return the content of metrics/data.json."""
    by_split = {
        split: dict.fromkeys(shape.classes, count) for split, count in (("train", 50), ("val", 10), ("test", 12))
    }
    return {
        "images": 72 * len(shape.classes),
        "groups": 120,
        "largest_group": 2,
        "quarantined": 1,
        "contradictory_labels": 0,
        "contradictory_copies": 0,
        "duplicated_images": 0,
        "duplicate_groups": 0,
        "lookalike_pairs": 1,
        "lookalike_pairs_of_two_labels": 0,
        "crossing_images": 2 * shape.leak,
        "leak_suspect": shape.leak,
        "regrouped": 0,
        "outside_subset": 0,
        "shortcut_balanced_accuracy": 0.66,
        "shortcut_file_balanced_accuracy": 0.35,
        "shortcut_picture_balanced_accuracy": 0.6,
        "shortcut_chance": 1 / len(shape.classes),
        **by_split,
    }


def subgroups_of(shape: Shape) -> dict[str, object]:
    """Return the columns of metrics/subgroups.json: two sites, a third with too few patients, and their gap."""
    if shape.gap is None:
        return {}
    scores = ("balanced_accuracy", "roc_auc", "macro_f1")
    values: dict[str, dict] = {
        name: {"n": 16, "n_groups": 15, "too_few": 0}
        | {f"{score}{end}": value + gap for score in scores for end, gap in (("", 0), ("_low", -0.1), ("_high", 0.1))}
        for name, value in (("site 1", 0.8), ("site 2", 0.6))
    }
    values["site 3"] = {"n": 4, "n_groups": 2, "too_few": 1}
    gap = {"higher": "site 1", "lower": "site 2", "difference": 0.2, "difference_low": 0.05, "difference_high": 0.34}
    p_values = {"p": shape.gap / 2, "p_holm": shape.gap}
    weak = {"p": 0.3, "p_holm": 0.6}
    return {"site": {"values": values, "gaps": {"balanced_accuracy": gap | p_values, "roc_auc": gap | weak}}}


def confounders_of(shape: Shape, model: str) -> dict[str, object]:
    """Return the content of metrics/confounders.json: the site explains the scores of a study with a significant gap."""
    if shape.gap is None:
        return {"model": model, "features_of": None, "columns": {}}
    named = shape.gap < 0.05
    site = {
        **ends_of("told_auc", 0.93),
        **ends_of("told_matched_auc", 0.91 if named else 0.5),
        **ends_of("alone", 0.6),
        **ends_of("fall", -0.2 if named else -0.01),
        **{"association_p": 0.001, "effective_n": 14.3, "score": 0.75, "matched_score": 0.55 if named else 0.74},
    }
    return {
        "model": model,
        "features_of": model,
        "columns": {"site": {**site, "named": int(named), "inseparable": 0}, "year": {}},
    }


def clinical_of(shape: Shape, model: str) -> dict[str, object]:
    """Return the content of metrics/clinical.json: the image adds to the record, and the record little to the image."""
    if shape.gap is None:
        return {"columns": [], "networks": [], "models": {}, "adds": {}}
    scores = ("balanced_accuracy", "roc_auc", "log_loss")
    models = {
        name: {key: number for score in scores for key, number in ends_of(score, value).items()}
        for name, value in (("record", 0.5), ("image", 0.7), ("both", 0.72))
    }
    adds = {
        "image": {**ends_of("difference", 0.22), "p": 0.001, "p_holm": 0.003},
        "record": {**ends_of("difference", 0.02), "p": 0.4, "p_holm": 0.4},
    }
    return {"columns": ["age", "bmi"], "networks": [model], "models": models, "adds": adds}


def ends_of(name: str, value: float) -> dict[str, float]:
    """Return a value with the ends of its interval."""
    return {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}


def card_of(shape: Shape, name: str) -> dict[str, object]:
    """Return the content of data/evaluated/<name>/model.json."""
    backbones = dict.fromkeys(model_row(name).backbones, "ab" * 32)
    return {
        "model": name,
        "mode": "frozen" if backbones else "scratch",
        "classes": list(shape.classes),
        "starts_from": start_of(shape, name),
        "leak_suspect": shape.leak,
        "img_px": 128,
        "backbones": backbones,
        "manifest_sha256": "cd" * 32,
        "inputs_sha256": {"data/prepared/images.npy": "ef" * 32},
        "train": {
            "head": "standard",
            "output": model_row(name).output or "softmax",
            "epochs": 25,
            "learning_rate": 0.001,
        },
        "fingerprint": "01" * 32,
        "parameters": 67075,
    }


def curve_of(shape: Shape) -> pd.DataFrame:
    """Return the content of metrics/learning_curve.csv for the first two models; a clear study is still rising."""
    gains = {"gain": 0.05, "gain_low": 0.01 if shape.clear else -0.01, "gain_high": 0.11}
    rows = [{"share": 0.5, "patients": 60.0, **gains}, {"share": 1.0, "patients": 120.0, **dict.fromkeys(gains)}]
    return pd.DataFrame([{"model": name, **row} for name in shape.models[:2] for row in rows])


def pairs_of(scores: dict[str, dict], clear: bool, ordered: bool) -> pd.DataFrame:
    """Return the content of metrics/pairs.csv; the models of a pair stand in either order, as in a real file."""
    rows = []
    for index, (one, other) in enumerate(itertools.combinations(scores, 2)):
        one, other = (other, one) if index % 2 else (one, other)
        difference = scores[one]["balanced_accuracy"] - scores[other]["balanced_accuracy"]
        p = 0.0004 if clear and next(iter(scores)) in (one, other) else 0.4
        rows.append(
            {
                "one": one,
                "other": other,
                "difference": difference,
                "difference_low": difference - 0.02,
                "difference_high": difference + 0.03,
                "difference_error": 0.01,
                "p_bootstrap": p,
                "p_mcnemar": p,
                "p_delong": np.nan,
                "p_bootstrap_holm": p,
                "p_bootstrap_max_t": p,
                "p_mcnemar_holm": p,
                "p_delong_holm": np.nan,
                **{
                    f"{score}_{column}": value
                    for score, by in zip(ORDERED if ordered else (), (1, -1), strict=False)
                    for column, value in grade_columns(by * difference, p).items()
                },
            }
        )
    return pd.DataFrame(rows)


def grade_columns(difference: float, p: float) -> dict[str, float]:
    """Return the columns of a pair for one score of ordered classes."""
    ends = {"difference": difference, "difference_low": difference - 0.02, "difference_high": difference + 0.03}
    return {**ends, "p_bootstrap": p, "p_bootstrap_holm": p}


def rewritten(path: Path, **changes: object) -> None:
    """Change some keys of a JSON file; None removes a key."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    write_json(path, {key: value for key, value in content.items() if value is not None})
