"""The results of a finished study, read from its folder."""

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from bonexray.base.errors import BonexrayError
from bonexray.base.files import read_json
from bonexray.data.paths import COMPARISON, DENOISE, ENSEMBLES, HEADLINE, MODELS
from bonexray.data.scores import all_scores
from bonexray.results.tables import comparison_sentence, markdown_table, terminal_table

REPORT = Path("reports/report.html")
COLUMNS = 120  # width of the printed table, in characters


@dataclass(frozen=True, eq=False, repr=False)
class StudyResults:
    """The results of a finished study; `repr` shows the ranked table with intervals.

    Attributes:
        folder: the study's folder, with models, figures and reports.
        table: one row per model and ensemble, highest balanced accuracy on test first (metrics/comparison.csv).
        headline: the model chosen on validation, its scores, and the models that cannot be distinguished from the best.
        scores: model or ensemble to its scores by name; None for an undefined score.
        quality: PSNR and SSIM before and after the filter (metrics/denoise.json).
        report: path of the report.
    """

    folder: Path
    table: pd.DataFrame
    headline: dict[str, object]
    scores: dict[str, dict[str, float | None]]
    quality: dict[str, float]
    report: Path

    def __repr__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=COLUMNS).print(terminal_table(self.table, self.headline))
        return f"{text.getvalue()}{comparison_sentence(self.table)}\nreport: {self.report}"

    def _repr_markdown_(self) -> str:
        """Return the table as Markdown, for notebooks."""
        return f"{markdown_table(self.table, self.headline, self.quality)}\n\nReport: `{self.report}`"


def read_results(folder: Path | str) -> StudyResults:
    """Read the results of a finished study.

    Args:
        folder: the folder of an experiment, or a DVC repository.

    Raises:
        BonexrayError: the study is not finished.
    """
    folder = Path(folder).absolute()
    missing = [
        path for path in (COMPARISON, HEADLINE, MODELS, ENSEMBLES, DENOISE, REPORT) if not (folder / path).is_file()
    ]
    if missing:
        raise BonexrayError(
            str(folder), expected="a finished study", received=f"no {missing[0]}", do="run the study to the end"
        )
    return StudyResults(
        folder=folder,
        table=pd.read_csv(folder / COMPARISON),
        headline=read_json(folder / HEADLINE),
        scores=all_scores(read_json(folder / MODELS), read_json(folder / ENSEMBLES)),
        quality=read_json(folder / DENOISE),
        report=folder / REPORT,
    )
