"""A tiny cohort, a study of one model on it, and searches of its settings, for the tests of tuning."""

from collections.abc import Callable

from cohorts import AUGMENT, SETTINGS, lay_out_features, lay_out_images, row_of
from conftest import REPOSITORY

from bonexray.study import Settings, load_settings
from bonexray.tuning.search import open_search
from bonexray.tuning.space import Changes, SearchTarget
from bonexray.tuning.trials import FINISHED, PRUNED, Trial

MODEL, SCRATCH, PX = "mobilenet_v2", "compact_cnn", 32
EPOCHS = 10


def settings_with(name: str = MODEL, mode: str = "frozen", copies: int = 0, **train: object) -> Settings:
    """Return this repository's settings with one model and a brief training."""
    settings = load_settings(REPOSITORY / "params.yaml")
    return settings.model_copy(
        update={
            "models": {name: row_of(name, mode)},
            "train": SETTINGS.model_copy(update=train),
            "augment": AUGMENT,
            "features": settings.features.model_copy(update={"copies": copies}),
            "prepare": settings.prepare.model_copy(update={"img_px": PX}),
        }
    )


def lay_out(copies: int = 0) -> None:
    """Write images and features below the working directory."""
    lay_out_images(PX)
    lay_out_features(MODEL, copies)


def run_search(settings: Settings, until: int) -> list[Trial]:
    """Return all trials of the study's only model after a search of `until` trials."""
    with open_search(settings, next(iter(settings.models))) as search:
        list(search.run(until))
        return search.trials


def quick(wanted: float = 0.002) -> Callable[..., Trial]:
    """Return a substitute for `attempt`: the loss falls with dropout and with the distance from a learning rate."""

    def attempt(
        target: SearchTarget, number: int, changes: Changes, is_hopeless: Callable[[int, float], bool]
    ) -> Trial:
        loss = abs(float(changes["train.learning_rate"]) / wanted - 1) + float(changes["train.dropout"])
        history = []
        for epoch in range(1, EPOCHS + 1):
            row = {
                "val_log_loss": loss + 1 / epoch,
                "loss": loss,
                "accuracy": 0.5,
                "val_accuracy": 0.5,
                "learning_rate": 0.1,
            }
            history.append({"epoch": epoch, **row})
            if is_hopeless(epoch, row["val_log_loss"]):
                return Trial(number, PRUNED, changes, tuple(history))
        return Trial(number, FINISHED, changes, tuple(history))

    return attempt
