"""The search: Optuna chooses, training tries, and a file remembers, so that a search goes on where it was.

Each trial is drawn with a seed of its own, from the trials before it. So one search for ten trials and one for five
that is taken up again for ten are the same search.
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
from bonexray.errors import BonexrayError
from bonexray.hashing import digest, sha256_of
from bonexray.registry import FROZEN
from bonexray.repository import main_repository
from bonexray.runtime import prepare_runtime
from bonexray.study import Settings
from bonexray.train.objective import MONITOR
from bonexray.train.training import model_card
from bonexray.tuning.inputs import require_inputs
from bonexray.tuning.space import Searched, present_values, space_card, suggest
from bonexray.tuning.trials import FINISHED, PRUNED, Trial, attempt, cohort_with

# The parts of this package that decide a trial's numbers.
CODE = (
    "augment",
    "backbones",
    "builders",
    "config",
    "data",
    "networks",
    "train",
    "tuning",
    "registry.py",
    "runtime.py",
)
LIBRARIES = ("optuna", "keras", "tensorflow", "numpy")
UNHURRIED = 5  # trials that are never given up, and the share of the epochs in which none is: 1 / UNHURRIED
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Search:
    """A search for a model's settings, with the trials that have ended so far.

    Attributes:
        searched: model and settings.
        fingerprint: names what the trials consume: data, settings, space, code.
    """

    def __init__(self, searched: Searched, fingerprint: str, study: optuna.Study) -> None:
        self.searched, self.fingerprint, self._study = searched, fingerprint, study

    @property
    def trials(self) -> list[Trial]:
        """The trials that have ended, in their order."""
        return [_trial_of(number, kept) for number, kept in enumerate(self._study.get_trials(states=ENDED))]

    @property
    def notes(self) -> list[str]:
        """What this search leaves out."""
        row, settings = self.searched.row, self.searched.settings
        notes = []
        if row.mode == FROZEN and not self.searched.copies:
            how = "`-S features.copies=8`, or the same in conf/config.yaml, encodes some"
            notes.append(f"augmentation is not searched, because the features have no augmented copies: {how}")
        if settings.train.repeats > 1:
            notes.append("of the repeats only the first seed is searched with")
        return notes

    def run(self, until: int) -> Iterator[Trial]:
        """Try until so many trials have ended; yields each.

        Args:
            until: trials in all, those of earlier runs included.
        """
        for number in range(len(self.trials), until):
            yield self._try(number)

    def _try(self, number: int) -> Trial:
        options = self.searched.settings.train
        present = present_values(self.searched)
        self._study.sampler = _sampler(options.seed, number, present)
        asked = self._study.ask()
        try:
            changes = suggest(asked, self.searched)
            trial = attempt(self.searched, number, present if number == 0 else changes, _pruning(asked))
            asked.set_user_attr("changes", dict(trial.changes))
            asked.set_user_attr("history", json.dumps(trial.history))
        except BaseException:  # an interrupt too: this trial is tried again
            self._study.tell(asked, state=TrialState.FAIL)
            raise
        if trial.state == FINISHED:
            self._study.tell(asked, trial.score)
        else:
            self._study.tell(asked, state=TrialState.PRUNED)
        return trial


@contextmanager
def open_search(settings: Settings, name: str) -> Iterator[Search]:
    """Open a model's search, or begin it.

    It is kept in .bonexray/tune.db of the main repository under the hash of what its trials consume, so trials of
    other data, settings, space or code are no part of it. What a killed process left unfinished is tried again.

    Args:
        settings: of the study; its `split`, `weights` and others as they stand.
        name: of a model in them.

    Raises:
        BonexrayError: no such model, inputs missing or stale, or another process is at the same search.
    """
    searched = Searched(settings, name, require_inputs(settings, name))
    options, row = settings.train, searched.row
    prepare_runtime(
        options.seed, deterministic=options.deterministic, mode=row.mode, mixed_precision=options.mixed_precision
    )
    fingerprint = _fingerprint(searched)
    folder = main_repository() / ".bonexray"
    folder.mkdir(exist_ok=True)
    with _alone_at(folder / f"tune-{name}.lock", name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PartialFixedSampler is experimental")
        warnings.filterwarnings("ignore", "Fixed parameter")  # the study's own settings may lie outside the space
        study = _open_study(folder / "tune.db", f"{name}-{fingerprint[:16]}", options.epochs)
        for left in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(left.number, state=TrialState.FAIL)
        yield Search(searched, fingerprint, study)


@contextmanager
def _alone_at(lock: Path, name: str) -> Iterator[None]:
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise BonexrayError(
            f"the search for {name}",
            expected="one process at a time",
            received="another that is at it",
            do="wait for it, or stop it",
        ) from None
    try:
        yield
    finally:
        held.release()


def _open_study(file: Path, name: str, epochs: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with FileLock(file.with_suffix(".lock")):  # two processes that make a database at once break it
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": 60}})
        pruner = optuna.pruners.MedianPruner(n_startup_trials=UNHURRIED, n_warmup_steps=epochs // UNHURRIED)
        return optuna.create_study(
            storage=storage, study_name=name, direction="minimize", pruner=pruner, load_if_exists=True
        )


def _sampler(seed: int, number: int, present: dict) -> optuna.samplers.BaseSampler:
    """Parzen estimators, after ten random trials; the very first is the study's own settings."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(seed=own)
    return sampler if number else optuna.samplers.PartialFixedSampler(present, sampler)


def _pruning(asked: optuna.Trial) -> Callable[[int, float], bool]:
    def is_hopeless(epoch: int, lowest: float) -> bool:
        asked.report(lowest, epoch)
        return asked.should_prune()

    return is_hopeless


def _trial_of(number: int, kept: FrozenTrial) -> Trial:
    state = FINISHED if kept.state == TrialState.COMPLETE else PRUNED
    attributes = kept.user_attrs
    return Trial(number, state, attributes["changes"], tuple(json.loads(attributes["history"])))


def _fingerprint(searched: Searched) -> str:
    card = model_card(searched.model, cohort_with(searched, {}))
    return digest(
        {
            "training": card["fingerprint"],
            "minimised": MONITOR,
            "copies": searched.copies,
            "space": space_card(searched.row.mode),
            "code": _code(),
            "libraries": {name: version(name) for name in LIBRARIES},
        }
    )


def _code() -> dict[str, str]:
    root = Path(bonexray.__file__).parent
    files = [path for part in CODE for path in sorted([root / part, *(root / part).rglob("*.py")]) if path.is_file()]
    return {path.relative_to(root).as_posix(): sha256_of(path) for path in files}
