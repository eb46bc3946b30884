"""The files of a finished study, read once and checked for what the report needs."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.data.paths import (
    CLINICAL,
    COMPARISON,
    CONFOUNDERS,
    DATA,
    DENOISE,
    ENSEMBLES,
    EVALUATED,
    EXPLAINED_REPORTS,
    EXTERNAL_METRICS,
    HEADLINE,
    LEARNING_CURVE,
    MODEL_CARD,
    MODELS,
    PAIRS,
    RANKS,
    SANITY_CHECK,
    SUBGROUPS,
)
from bonexray.data.scores import all_scores
from bonexray.registry import FROZEN
from bonexray.results.grid import FILTERS, GRID_COLUMNS
from bonexray.results.wording import NONE, percent

REQUIRED = {
    HEADLINE: {
        "model",
        "dataset",
        "confidence",
        "best",
        "not_distinguishable",
        "balanced_accuracy",
        "baseline_accuracy",
        "baseline_balanced_accuracy",
        "n",
        "leak_suspect",
        "shortcut_balanced_accuracy",
    },
    SUBGROUPS: {"columns"},
    CONFOUNDERS: {"columns", "features_of"},
    CLINICAL: {"columns", "networks", "models", "adds"},
    DATA: {"images", "groups", "train", "val", "test", "shortcut_chance"},
}
LOCALISATION = EXPLAINED_REPORTS / "localisation.json"  # only in a study with boxes
CURVE_COLUMNS = {"model", "share", "patients", "gain", "gain_low", "gain_high"}
COLUMNS = {"rank", "model", "title", "kind", "starts_from", "n", "balanced_accuracy", "not_distinguishable"}


class ReportSettings(dict):
    """Sections of params.yaml with settings as attributes; a missing one is None."""

    def __getattr__(self, name: str) -> object:
        """Return a setting, or a section."""
        value = self.get(name)
        return ReportSettings(value) if isinstance(value, dict) else value


@dataclass(frozen=True)
class Study:
    """A finished study.

    Attributes:
        settings: sections of params.yaml.
        headline: the chosen model and its scores.
        scores: model or ensemble to its scores; None for NaN.
        table: a row for each model and ensemble, the best on test first.
        data: findings of the audit, and images by split and class.
        quality: PSNR and SSIM before and after filtering.
        cards: model to its card; ensembles have none.
        pairs: paired comparisons; no rows with a single model.
        ranks: tests of Friedman and Nemenyi over folds; None without them.
        explained: model to the facts of its heat maps; empty without heat maps.
        localisation: how well heat maps find boxes, as the stage `explain` summarises it; empty without boxes.
        external: external cohort to its facts and the scores of every model on it; empty without one.
        subgroups: column of the record to `values`, the chosen model's scores by subgroup, and `gaps` between them.
        patients: scores by model and share of the training patients.
        confounders: column of the record to whether it may explain the chosen model's scores; empty if it cannot be
            tested.
        features_of: the network whose features predict the columns; None without a frozen one.
        clinical: the content of metrics/clinical.json; without models if there are no clinical variables.
        filters: validation scores by model and filter, as in `filter_grid`; no rows if no grid was collected.
        root: the study's folder, with its figures.
    """

    settings: ReportSettings
    headline: dict
    scores: dict[str, dict]
    table: pd.DataFrame
    data: dict
    quality: dict
    cards: dict[str, dict]
    pairs: pd.DataFrame
    ranks: dict | None
    explained: dict[str, dict]
    localisation: dict
    external: dict[str, dict]
    subgroups: dict[str, dict]
    patients: pd.DataFrame
    confounders: dict[str, dict]
    features_of: str | None
    clinical: dict
    filters: pd.DataFrame
    root: Path

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the class map."""
        return list(self.data["test"])

    @property
    def titles(self) -> dict[str, str]:
        """Model or ensemble to its title, by rank."""
        return dict(zip(self.table["model"], self.table["title"], strict=True))

    @property
    def networks(self) -> list[str]:
        """The networks, without baselines and ensembles, by rank."""
        return list(self.table.loc[self.table["kind"] == "model", "model"])

    @property
    def linear_heads(self) -> list[str]:
        """The networks whose training fitted a penalised regression to cached features, by rank."""
        return [
            name
            for name in self.networks
            if self.cards[name]["mode"] == FROZEN and "strength" in self.cards[name].get("chosen", {})
        ]

    def row(self, name: str) -> dict[str, object]:
        """Return a model's row of the comparison."""
        return self.table.loc[self.table["model"] == name].iloc[0].to_dict()

    @property
    def starts(self) -> dict[str, str]:
        """Model to what its training started from; a dash for ensembles."""
        return {
            row["model"]: NONE if pd.isna(row["starts_from"]) else str(row["starts_from"])
            for _, row in self.table.iterrows()
        }

    @property
    def n(self) -> int:
        """Number of test images, or of test patients."""
        return int(self.headline["n"])

    @property
    def case(self) -> str:
        """What a prediction is for: `test image`, or `test patient` if a patient's images are answered together."""
        return f"test {self.headline.get('unit') or 'image'}"

    @property
    def confidence(self) -> str:
        """Confidence level of the intervals, as `95 %`."""
        return percent(self.headline["confidence"])

    @property
    def repeats(self) -> int:
        """Number of trainings of each model with different seeds."""
        return int(self.headline.get("repeats") or 1)

    @property
    def folds(self) -> int:
        """Number of folds of the cross-validation; 1 for a single split."""
        return int(self.headline.get("folds") or 1)

    @property
    def rounds(self) -> list[str]:
        """The words `repeats` and `folds`, each only if the study has more than one."""
        return [name for name, number in (("repeats", self.repeats), ("folds", self.folds)) if number > 1]

    @property
    def simulated(self) -> bool:
        """True if the images are simulated."""
        return bool(self.settings.dataset.simulated)

    @property
    def ordered(self) -> bool:
        """True if the classes are grades of a scale."""
        return self.has("quadratic_weighted_kappa")

    @property
    def alike(self) -> list[str]:
        """Models that do not differ significantly from the one with the highest test score, which is left out."""
        return [name for name in self.headline["not_distinguishable"] if name != self.headline["best"]]

    def has(self, score: str) -> bool:
        """Return whether any model has this score."""
        return any(scores.get(score) is not None for scores in self.scores.values())


def read_study(settings: ReportSettings, root: Path | str = ".") -> Study:
    """Read the files of a study.

    Args:
        settings: sections of params.yaml.
        root: the study's folder.

    Raises:
        BonexrayError: a file is missing or incomplete.
    """
    root = Path(root)
    table = _table(root, COMPARISON, COLUMNS)
    scores = all_scores(_json(root, MODELS), _json(root, ENSEMBLES))
    names = list(table["model"])
    if missing := sorted(set(names) - set(scores)):
        raise _unfit(MODELS, "the models of metrics/comparison.csv", f"none named {', '.join(missing)}")
    return Study(
        settings=settings,
        headline=_json(root, HEADLINE),
        scores=scores,
        table=table,
        data=_json(root, DATA),
        quality=_json(root, DENOISE),
        cards={name: _json(root, EVALUATED / name / MODEL_CARD) for name in table.query("kind != 'ensemble'")["model"]},
        pairs=_pairs(root, several=len(names) > 1),
        ranks=_ranks(root),
        explained={
            name: _json(root, path)
            for name in names
            if (root / (path := EXPLAINED_REPORTS / name / SANITY_CHECK)).exists()
        },
        localisation=_json(root, LOCALISATION) if (root / LOCALISATION).exists() else {},
        external={name: _json(root, EXTERNAL_METRICS / f"{name}.json") for name in settings.get("external") or {}},
        subgroups=_json(root, SUBGROUPS)["columns"],
        patients=_table(root, LEARNING_CURVE, CURVE_COLUMNS),
        confounders=_json(root, CONFOUNDERS)["columns"],
        features_of=_json(root, CONFOUNDERS)["features_of"],
        clinical=_json(root, CLINICAL),
        filters=_filters(root),
        root=root,
    )


def _json(root: Path, path: Path) -> dict:
    try:
        content = read_json(root / path)
    except FileNotFoundError:
        raise _unfit(path, "a file of a finished study", "no such file") from None
    except json.JSONDecodeError as error:
        raise _unfit(path, "JSON", str(error)) from None
    if missing := sorted(REQUIRED.get(path, set()) - set(content)):
        raise _unfit(path, f"the keys {', '.join(sorted(REQUIRED[path]))}", f"none named {', '.join(missing)}")
    return content


def _table(root: Path, path: Path, columns: set[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(root / path)
    except FileNotFoundError:
        raise _unfit(path, "a file of a finished study", "no such file") from None
    if missing := sorted(columns - set(table)):
        raise _unfit(path, f"the columns {', '.join(sorted(columns))}", f"none named {', '.join(missing)}")
    return table


def _pairs(root: Path, several: bool) -> pd.DataFrame:
    """Return the pairs; only a study of a single model has none."""
    if (root / PAIRS).exists():
        return pd.read_csv(root / PAIRS)
    if several:
        raise _unfit(PAIRS, "a row for each pair of models", "no such file")
    return pd.DataFrame(columns=["one", "other", "p_bootstrap_holm"])


def _filters(root: Path) -> pd.DataFrame:
    table = pd.read_csv(root / FILTERS) if (root / FILTERS).exists() else pd.DataFrame(columns=GRID_COLUMNS)
    if missing := sorted(set(GRID_COLUMNS) - set(table)):
        received = f"none named {', '.join(missing)}"
        raise BonexrayError(str(FILTERS), expected="validation scores", received=received, do="run `bonexray grid`")
    return table


def _ranks(root: Path) -> dict | None:
    ranks = _json(root, RANKS) if (root / RANKS).exists() else {}
    return ranks if ranks.get("mean_ranks") else None


def _unfit(path: Path, expected: str, received: str) -> BonexrayError:
    return BonexrayError(str(path), expected=expected, received=received, do="run `dvc repro`, which writes it")
