"""Candidates for the learning rate and the weight decay of a head that gradients train, and the choice among them."""

from collections.abc import Mapping, Sequence

from bonexray.train.settings import Train

RATES = (1.0, 0.3, 0.1)  # shares of train.learning_rate
# Values of train.weight_decay where it is null; 1 takes off a third of a weight in 400 steps at a rate of 0.001.
DECAYS = (0.0, 1.0)


def candidates_of(settings: Train) -> list[Train]:
    """Return the settings with each candidate learning rate and weight decay; networks do not differ in candidates."""
    decays = DECAYS if settings.weight_decay is None else (settings.weight_decay,)
    return [
        settings.model_copy(update={"learning_rate": settings.learning_rate * rate, "weight_decay": decay})
        for decay in decays
        for rate in RATES
    ]


def compiled_in(settings: Train) -> tuple[float | None, float | None]:
    """Return the settings that are compiled into a network: weight decay, and learning rate of a cosine schedule."""
    return settings.weight_decay, settings.learning_rate if settings.schedule == "cosine" else None


def choice_of(candidates: Sequence[Mapping[str, float]], losses: Sequence[float]) -> dict[str, object]:
    """Describe a choice for model.json.

    Args:
        candidates: the settings of each candidate by name.
        losses: the validation log loss of each candidate.

    Returns:
        `candidates`, each with its val_log_loss, and `chosen`, the settings of the first one with the lowest.
    """
    chosen = min(range(len(losses)), key=losses.__getitem__)
    rows = [{**candidate, "val_log_loss": loss} for candidate, loss in zip(candidates, losses, strict=True)]
    return {"candidates": rows, "chosen": dict(candidates[chosen])}
