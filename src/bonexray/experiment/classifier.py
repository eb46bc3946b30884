"""A whole study by one call."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from bonexray.check import data_findings
from bonexray.config import PARAMS
from bonexray.errors import BonexrayError
from bonexray.experiment.evaluation import Evaluation, read_evaluation
from bonexray.experiment.process import run_in
from bonexray.experiment.settings import compose
from bonexray.experiment.steps import plan

MARK = "# Written by bonexray.XRayClassifier; the same settings as DVC composes them from conf/.\n"
RESULTS = ("metrics", "models", "reports")
WRITTEN = (
    str(PARAMS),
    *RESULTS,
    "weights",
    "data/phantom",
    "data/split",
    "data/denoised",
    "data/prepared",
    "data/features",
)


class XRayClassifier:
    """A comparison of networks on X-rays: the stages of the pipeline in a folder, without DVC and Git.

    Args:
        config: what differs from conf/config.yaml. Short names: `img_size` (pixels), `batch_size` (images), `epochs`,
            `learning_rate`, `dropout_rate`, `use_subset` (a share of the patients; True is 0.02, None and False are all),
            `patience` (epochs), `lr_factor`, `min_lr`, and `models` (a name, several, or "all", which it is without).
            Any other setting by its full name, `"train.mode": "fine_tune"`, or by sections, `{"train": {"mode": ...}}`.
            `dataset` and `preset` choose a file of conf/dataset and conf/preset. A relative path is meant from where Python
            runs.
        folder: where everything is written, params.yaml with it.

    Attributes:
        settings: all settings of the study, typed and frozen.
        folder: absolute.

    Raises:
        BonexrayError: a key is unknown, a value is refused, or the settings do not fit each other.

    Example:
        >>> XRayClassifier(config={"models": ["vgg16", "resnet50"], "epochs": 10}).run_experiment()  # doctest: +SKIP
    """

    def __init__(self, config: Mapping[str, object] | None = None, folder: Path | str = "experiment") -> None:
        self.folder = Path(folder).expanduser().absolute()
        self._params, self.settings = compose(config or {})

    def __repr__(self) -> str:
        return f"XRayClassifier({', '.join(self.settings.models)}; dataset {self.settings.dataset.name}; {self.folder})"

    def write_settings(self) -> Path:
        """Write params.yaml, which is all that a stage reads; the first thing where stages are called one by one.

        Raises:
            BonexrayError: the dataset or a weights file is not what it must be, or the folder holds what is not an
                experiment's.
        """
        self._require_own_folder()
        for finding in data_findings(self.settings, self.folder):
            raise finding
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / PARAMS
        target.write_text(MARK + self._params, encoding="utf-8")
        return target

    def run_experiment(self, *, explain: bool = True, verbose: bool = True) -> Evaluation:
        """Run every stage, each in a process of its own, and return what the study found.

        The numbers are those of `dvc repro` with the same settings. An earlier experiment's results in the folder are
        deleted first; only filtered images are kept, so that they are not filtered again. Trainings are logged to MLflow,
        to mlflow.db in the folder, or where MLFLOW_TRACKING_URI says.

        Args:
            explain: draw heat maps too, which takes longest.
            verbose: show what the stages say; logs/ in the folder has it anyway.

        Raises:
            BonexrayError: something has to be put right; before any work, as far as it can be known then.
        """
        self.write_settings()
        for name in RESULTS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        calls = plan(self.settings, explain=explain)
        for number, call in enumerate(calls, 1):
            if verbose:
                print(f"[{number}/{len(calls)}] {'@'.join(call)}", file=sys.stderr, flush=True)
            run_in(self.folder, *call, verbose=verbose)
        return read_evaluation(self.folder)

    def _require_own_folder(self) -> None:
        """A folder may have images in it, but nothing under a name that a study writes, unless an experiment wrote it."""
        params = self.folder / PARAMS
        if params.is_file() and params.read_text(encoding="utf-8").startswith(MARK):
            return
        here = [name for name in ("dvc.yaml", *WRITTEN) if (self.folder / name).exists()]
        if here:
            raise BonexrayError(
                str(self.folder),
                expected="a folder that is new or an experiment's",
                received=f"one with {here[0]}",
                do="give another folder, or use `dvc exp run` where dvc.yaml is",
            )
