"""A whole study in one object."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from bonexray.base.config import PARAMS
from bonexray.base.errors import BonexrayError
from bonexray.check import data_findings
from bonexray.experiment.composing import compose
from bonexray.experiment.dag import Call, stage_calls
from bonexray.experiment.outputs import read_output
from bonexray.experiment.process import run_in
from bonexray.experiment.results import StudyResults, read_results

MARK = "# Written by bonexray.XRayClassifier; the same settings as DVC composes them from conf/.\n"
RESULTS = ("metrics", "models", "reports")
WRITTEN = (
    str(PARAMS),
    *RESULTS,
    "weights",
    "data/phantom",
    "data/phantom_fracture",
    "data/split",
    "data/denoised",
    "data/prepared",
    "data/features",
    "data/evaluated",
)


class XRayClassifier:
    """A comparison of networks on X-rays: the stages of the pipeline in a folder, without DVC and Git.

    Args:
        config: settings that differ from conf/config.yaml. Short names: `img_size` (pixels), `batch_size` (images),
            `epochs`, `learning_rate`, `dropout_rate`, `use_subset` (a share of the patients; True means 0.02, None and
            False mean all), `patience` (epochs), `lr_factor`, `min_lr`, and `models` (one name, several, or "all", the
            default). Any other setting has its full name, `"train.loss": "focal"`, or is nested in its section,
            `{"train": {"loss": "focal"}}`. `dataset` and `preset` choose a file of conf/dataset and conf/preset.
            Relative paths are relative to Python's working directory.
        folder: the folder for everything that is written, params.yaml included.

    Attributes:
        settings: all settings of the study, typed and frozen.
        folder: the absolute path of the folder.

    Raises:
        BonexrayError: a key is unknown, a value is refused, or two settings contradict each other.

    Example:
        >>> study = XRayClassifier(config={"models": ["vgg16", "resnet50"], "epochs": 10})
        >>> study.run_experiment()  # doctest: +SKIP
    """

    def __init__(self, config: Mapping[str, object] | None = None, folder: Path | str = "experiment") -> None:
        self.folder = Path(folder).expanduser().absolute()
        self._params, self.settings = compose(config or {})

    def __repr__(self) -> str:
        return f"XRayClassifier({', '.join(self.settings.models)}; dataset {self.settings.dataset.name}; {self.folder})"

    def write_settings(self) -> Path:
        """Write params.yaml, the only file that the first stage needs, and return its path.

        Raises:
            BonexrayError: the dataset or a weights file is missing or unusable, or the folder contains other work.
        """
        self._require_own_folder()
        for finding in data_findings(self.settings, self.folder):
            raise finding
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / PARAMS
        target.write_text(MARK + self._params, encoding="utf-8")
        return target

    def run_experiment(self, *, explain: bool = True, verbose: bool = True) -> StudyResults:
        """Run every stage, each in its own process, and return the results.

        The scores are those of `dvc repro` with the same settings. Results of an earlier experiment in the folder are
        deleted first; filtered images are kept and reused. Trainings are logged to MLflow: to mlflow.db in the folder,
        or to MLFLOW_TRACKING_URI.

        Args:
            explain: also draw heat maps.
            verbose: print the log of each stage; logs/ in the folder has it in any case.

        Raises:
            BonexrayError: something has to be corrected; raised before any work where possible.
        """
        self.write_settings()
        for name in RESULTS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        calls = self.plan(explain=explain)
        for number, call in enumerate(calls, 1):
            if verbose:
                print(f"[{number}/{len(calls)}] {'@'.join(call)}", file=sys.stderr, flush=True)
            run_in(self.folder, *call, verbose=verbose)
        return read_results(self.folder)

    def plan(self, *, explain: bool = True) -> list[Call]:
        """Return every call of the study in order, as dvc.yaml defines it.

        Args:
            explain: include the heat maps; the report is complete without them.

        Returns:
            One tuple per call, the arguments of `run_stage`: `("split",)`, `("train", "vgg16")`.
        """
        return [call for call in stage_calls(self.settings) if explain or call[0] != "explain"]

    def run_stage(self, stage: str, *names: str, verbose: bool = True) -> object:
        """Run one stage and return its main output; see `bonexray.experiment.outputs.read_output`.

        The stages before it must have run in the folder with the same settings.

        Args:
            stage: the name of the stage, as in dvc.yaml.
            names: the model or backbone, for a stage that runs once for each.
            verbose: print the log of the stage; logs/ in the folder has it in any case.

        Raises:
            BonexrayError: the study has no such call, or the stage refused its input or failed.

        Example:
            >>> history = study.run_stage("train", "vgg16")  # doctest: +SKIP
        """
        call = (stage, *names)
        self._require_planned(call)
        self.write_settings()
        run_in(self.folder, *call, verbose=verbose)
        return read_output(self.folder, *call)

    def _require_planned(self, call: Call) -> None:
        calls = self.plan()
        if call not in calls:
            same_stage = [other for other in calls if other[0] == call[0]]
            expected = ["@".join(other) for other in same_stage] or list(dict.fromkeys(other[0] for other in calls))
            raise BonexrayError(
                f"run_stage: {'@'.join(call)}",
                expected=f"one of {', '.join(expected)}",
                received="no such call of this study",
                do="correct it, or change the config",
            )

    def _require_own_folder(self) -> None:
        """Refuse a folder that contains a study's files, unless an experiment wrote them; images do no harm."""
        params = self.folder / PARAMS
        if params.is_file() and params.read_text(encoding="utf-8").startswith(MARK):
            return
        present = [name for name in ("dvc.yaml", *WRITTEN) if (self.folder / name).exists()]
        if present:
            raise BonexrayError(
                str(self.folder),
                expected="an empty folder, or an experiment's",
                received=f"a folder with {present[0]}",
                do="choose another folder, or use `dvc exp run` where dvc.yaml is",
            )
