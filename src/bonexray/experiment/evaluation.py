"""What a finished study found, read from its folder."""

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from bonexray.data.paths import COMPARISON, DENOISE, ENSEMBLES, HEADLINE, MODELS
from bonexray.data.scores import all_scores
from bonexray.errors import BonexrayError
from bonexray.files import read_json
from bonexray.results.tables import markdown_table, terminal_table

REPORT = Path("reports/report.html")
COLUMNS = 120  # of the table as text


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A finished study; shows itself as the ranked table with intervals.

    Attributes:
        folder: of the study: models, figures, and everything below.
        table: a row a model and ensemble, the highest balanced accuracy on test first (metrics/comparison.csv).
        headline: the model that validation chose, its scores, and what the study cannot tell from the best.
        scores: by model and ensemble, score to value; null where it is not defined.
        quality: PSNR and SSIM before and after the filter (metrics/denoise.json).
        report: the whole study on one page.
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
        return f"{text.getvalue()}report: {self.report}"

    def _repr_markdown_(self) -> str:
        """The same in a notebook."""
        return f"{markdown_table(self.table, self.headline, self.quality)}\n\nReport: `{self.report}`"


def read_evaluation(folder: Path | str) -> Evaluation:
    """Read a finished study.

    Args:
        folder: of the study; a DVC repository is one too.

    Raises:
        BonexrayError: the study is not finished.
    """
    folder = Path(folder).absolute()
    missing = [
        path for path in (COMPARISON, HEADLINE, MODELS, ENSEMBLES, DENOISE, REPORT) if not (folder / path).is_file()
    ]
    if missing:
        raise BonexrayError(
            str(folder), expected="a finished study", received=f"no {missing[0]}", do="run the study to its end"
        )
    return Evaluation(
        folder=folder,
        table=pd.read_csv(folder / COMPARISON),
        headline=read_json(folder / HEADLINE),
        scores=all_scores(read_json(folder / MODELS), read_json(folder / ENSEMBLES)),
        quality=read_json(folder / DENOISE),
        report=folder / REPORT,
    )
