"""The training of a network by gradients, in the stage `train`."""

from pathlib import Path

from bonexray.augment.settings import Augment
from bonexray.backbones.cost import multiply_adds
from bonexray.registry import FROZEN
from bonexray.runtime import prepare_runtime, start_anew
from bonexray.train.cohort import Cohort, open_cohort
from bonexray.train.fit import probabilities
from bonexray.train.recorded import EpochListener, Recorded
from bonexray.train.runs import Outcome, train_runs
from bonexray.train.settings import ModelRow, Train
from bonexray.train.training import train_model


def train_network(name: str, row: ModelRow, options: Train, augment: Augment, recorded: Recorded) -> None:
    """Write models/<name>/ as `train_runs` does."""
    prepare_runtime(
        options.seed, deterministic=options.deterministic, mode=row.mode, mixed_precision=options.mixed_precision
    )
    train_runs(name, open_cohort(row, options, augment), recorded, train_anew)


def train_anew(name: str, cohort: Cohort, folder: Path, on_epoch: EpochListener) -> Outcome:
    """Train as in a new process, whatever ran in this one before, and predict every image."""
    start_anew(cohort.train.seed)
    network, history, choice = train_model(name, cohort, folder, on_epoch)
    batches = cohort.features(None) if cohort.row.mode == FROZEN else cohort.images(None)
    return Outcome(history, choice, probabilities(network, batches), network.count_params(), multiply_adds(network))
