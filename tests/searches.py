"""A tiny cohort, a study of one model on it, and what its searches find, for the tests of tuning."""

from collections.abc import Callable

from cohorts import AUGMENT, SETTINGS, lay_out_features, lay_out_images, row_of
from conftest import REPOSITORY

from bonexray.study import Settings, load_settings
from bonexray.tuning.search import open_search
from bonexray.tuning.space import Changes, Searched
from bonexray.tuning.trials import FINISHED, PRUNED, Trial

MODEL, SCRATCH, PX = "mobilenet_v2", "compact_cnn", 32
EPOCHS = 10


def settings_with(name: str = MODEL, mode: str = "frozen", copies: int = 0, **train: object) -> Settings:
    """This repository's settings with one model, trained briefly."""
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
    """Images and features below the working directory."""
    lay_out_images(PX)
    lay_out_features(MODEL, copies)


def searched(settings: Settings, until: int) -> list[Trial]:
    """All trials of the study's only model, after a search for so many."""
    with open_search(settings, next(iter(settings.models))) as found:
        list(found.run(until))
        return found.trials


def quick(wanted: float = 0.002) -> Callable[..., Trial]:
    """A stand-in for a training: the nearer the learning rate to the one wanted, and the less dropout, the better."""

    def attempt(searched: Searched, number: int, changes: Changes, is_hopeless: Callable[[int, float], bool]) -> Trial:
        loss = abs(float(changes["train.learning_rate"]) / wanted - 1) + float(changes["train.dropout"])
        history = []
        for epoch in range(1, EPOCHS + 1):
            row = {
                "val_loss": loss + 1 / epoch,
                "loss": loss,
                "accuracy": 0.5,
                "val_accuracy": 0.5,
                "learning_rate": 0.1,
            }
            history.append({"epoch": epoch, **row})
            if is_hopeless(epoch, row["val_loss"]):
                return Trial(number, PRUNED, changes, tuple(history))
        return Trial(number, FINISHED, changes, tuple(history))

    return attempt
