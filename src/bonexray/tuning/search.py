"""Search for a model's settings with Optuna, stored in a file so that it can be resumed.

Each trial has its own seed and depends on the earlier trials alone, so ten trials give the same results as five that
are resumed up to ten.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

import bonexray
from bonexray.base.errors import BonexrayError
from bonexray.base.hashing import digest, sha256_of
from bonexray.base.repository import main_repository
from bonexray.registry import FROZEN
from bonexray.runtime import prepare_runtime
from bonexray.study import Settings
from bonexray.train.card import model_card
from bonexray.train.objective import MONITOR
from bonexray.tuning.inputs import require_inputs
from bonexray.tuning.space import SearchTarget, present_values, space_card, suggest
from bonexray.tuning.trials import FINISHED, PRUNED, Trial, attempt, cohort_with

# The parts of this package that decide a trial's numbers.
CODE = (
    "augment",
    "backbones",
    "builders",
    "base",
    "data",
    "networks",
    "train",
    "tuning",
    "registry.py",
    "runtime.py",
)
LIBRARIES = ("optuna", "keras", "tensorflow", "numpy")
UNHURRIED = 5  # the first trials, and the first 1 / UNHURRIED of the epochs, are never pruned
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Search:
    """A search for a model's settings, with the trials that have ended so far.

    Attributes:
        target: model and settings.
        fingerprint: hash of all that decides the trials: data, settings, search space, code.
    """

    def __init__(self, target: SearchTarget, fingerprint: str, study: optuna.Study) -> None:
        self.target, self.fingerprint, self._study = target, fingerprint, study

    @property
    def trials(self) -> list[Trial]:
        """Return the trials that have ended, in order."""
        return [_trial_of(number, frozen) for number, frozen in enumerate(self._study.get_trials(states=ENDED))]

    @property
    def notes(self) -> list[str]:
        """Return remarks on what the search leaves out."""
        row, settings = self.target.row, self.target.settings
        notes = []
        if row.mode == FROZEN and not self.target.copies:
            notes.append(
                "augmentation is not searched, because the features have no augmented copies: set features.copies=8 "
                "with -S or in conf/config.yaml"
            )
        if settings.train.repeats > 1:
            notes.append("only the seed of the first repeat is used")
        return notes

    def run(self, until: int) -> Iterator[Trial]:
        """Yield trials as they end, until there are enough.

        Args:
            until: total number of trials, including those of earlier calls.
        """
        for number in range(len(self.trials), until):
            yield self._run_trial(number)

    def _run_trial(self, number: int) -> Trial:
        options = self.target.settings.train
        present = present_values(self.target)
        self._study.sampler = _sampler(options.seed, number, present)
        optuna_trial = self._study.ask()
        try:
            changes = suggest(optuna_trial, self.target)
            trial = attempt(self.target, number, present if number == 0 else changes, _pruning(optuna_trial))
            optuna_trial.set_user_attr("changes", dict(trial.changes))
            optuna_trial.set_user_attr("history", json.dumps(trial.history))
        except BaseException:  # also on an interrupt: the trial is repeated
            self._study.tell(optuna_trial, state=TrialState.FAIL)
            raise
        if trial.state == FINISHED:
            self._study.tell(optuna_trial, trial.score)
        else:
            self._study.tell(optuna_trial, state=TrialState.PRUNED)
        return trial


@contextmanager
def open_search(settings: Settings, name: str) -> Iterator[Search]:
    """Open a model's search, or start one.

    It is stored in .bonexray/tune.db of the main repository under its fingerprint, so trials of other data, settings,
    search spaces or code are not part of it. Trials that a killed process left unfinished are repeated.

    Args:
        settings: settings of the study.
        name: name of one of its models.

    Raises:
        BonexrayError: if there is no such model, if inputs are missing or stale, or if another process runs the search.
    """
    target = SearchTarget(settings, name, require_inputs(settings, name))
    options, row = settings.train, target.row
    prepare_runtime(
        options.seed, deterministic=options.deterministic, mode=row.mode, mixed_precision=options.mixed_precision
    )
    fingerprint = _fingerprint(target)
    folder = main_repository() / ".bonexray"
    folder.mkdir(exist_ok=True)
    with _exclusive(folder / f"tune-{name}.lock", name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PartialFixedSampler is experimental")
        warnings.filterwarnings("ignore", "Fixed parameter")  # the study's own settings may lie outside the space
        study = _open_study(folder / "tune.db", f"{name}-{fingerprint[:16]}", options.epochs)
        for left in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)
        yield Search(target, fingerprint, study)


@contextmanager
def _exclusive(lock: Path, name: str) -> Iterator[None]:
    file_lock = FileLock(lock, timeout=0)
    try:
        file_lock.acquire()
    except Timeout:
        raise BonexrayError(
            f"the search for {name}",
            expected="one process at a time",
            received="another process that is running it",
            do="wait for it, or stop it",
        ) from None
    try:
        yield
    finally:
        file_lock.release()


def _open_study(file: Path, name: str, epochs: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with FileLock(file.with_suffix(".lock")):  # creating a database in two processes at once breaks it
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": 60}})
        pruner = optuna.pruners.MedianPruner(n_startup_trials=UNHURRIED, n_warmup_steps=epochs // UNHURRIED)
        return optuna.create_study(
            storage=storage, study_name=name, direction="minimize", pruner=pruner, load_if_exists=True
        )


def _sampler(seed: int, number: int, present: dict) -> optuna.samplers.BaseSampler:
    """Return a tree-structured Parzen estimator, random for ten trials; trial 0 has the study's own settings."""
    trial_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(seed=trial_seed)
    return sampler if number else optuna.samplers.PartialFixedSampler(present, sampler)


def _pruning(optuna_trial: optuna.Trial) -> Callable[[int, float], bool]:
    def is_hopeless(epoch: int, lowest: float) -> bool:
        optuna_trial.report(lowest, epoch)
        return optuna_trial.should_prune()

    return is_hopeless


def _trial_of(number: int, frozen: FrozenTrial) -> Trial:
    state = FINISHED if frozen.state == TrialState.COMPLETE else PRUNED
    attributes = frozen.user_attrs
    return Trial(number, state, attributes["changes"], tuple(json.loads(attributes["history"])))


def _fingerprint(target: SearchTarget) -> str:
    card = model_card(target.model, cohort_with(target, {}))
    return digest(
        {
            "training": card["fingerprint"],
            "minimised": MONITOR,
            "copies": target.copies,
            "space": space_card(target.row.mode),
            "code": _code(),
            "libraries": {name: version(name) for name in LIBRARIES},
        }
    )


def _code() -> dict[str, str]:
    root = Path(bonexray.__file__).parent
    files = [path for part in CODE for path in sorted([root / part, *(root / part).rglob("*.py")]) if path.is_file()]
    return {path.relative_to(root).as_posix(): sha256_of(path) for path in files}
