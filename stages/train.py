"""Train one model, once per fold and repeat, and save its best weights and its probabilities for every image."""

from bonexray.augment.settings import Augment
from bonexray.base.config import StageSettings
from bonexray.registry import BASELINE
from bonexray.stage import run_stage
from bonexray.tracking.live import live_run
from bonexray.train.baseline import train_baseline
from bonexray.train.linear import is_linear, train_linear_head
from bonexray.train.settings import ModelRow, Train


class Settings(StageSettings):
    """What the stage reads of params.yaml."""

    models: dict[str, ModelRow]
    train: Train
    augment: Augment


def main(settings: Settings, name: str) -> None:
    """Write models/<name>/, logging each training to MLflow; only training by gradients loads Keras."""
    row = settings.models[name]
    if row.mode == BASELINE:
        train_baseline(name, row, settings.train, live_run)
    elif is_linear(row, settings.train):
        train_linear_head(name, row, settings.train, settings.augment, live_run)
    else:
        from bonexray.train.network import train_network

        train_network(name, row, settings.train, settings.augment, live_run)


if __name__ == "__main__":
    run_stage(main, Settings)
