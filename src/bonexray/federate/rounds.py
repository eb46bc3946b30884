"""The server's part: rounds of training at the sites, averaged by Flower, over any connection."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, FedProx

from bonexray.base.errors import BonexrayError
from bonexray.federate.head import scaling_of_moments
from bonexray.federate.messages import (
    ARRAYS,
    CLASS_SHARES,
    CLASS_WEIGHTS,
    CONFIG,
    COUNT,
    LOCAL_STEPS,
    LOG_LOSS,
    MEAN,
    MU,
    RECIPE,
    STD,
    STRENGTHS,
    bytes_of,
    sound_replies,
)
from bonexray.federate.plan import FEDPROX, Plan
from bonexray.federate.recipe import as_text
from bonexray.train.linear import scaled
from bonexray.train.regression import STRENGTHS as CANDIDATES
from bonexray.train.regression import probabilities_of

log = logging.getLogger("bonexray")


@dataclass(frozen=True, eq=False)
class FederatedHead:
    """A linear head that the sites trained together.

    Attributes:
        kernel: float64 (width, classes).
        bias: float64 (classes,).
        scaling: mean and standard deviation of each feature, float32 (width,); None without standardisation.
        strength: of the penalty, chosen by the mean log loss on all sites' validation images.
        log_losses: of the chosen strength after each round, on those images; NaN for a round without answers.
        images: number of training images at the sites that answered first.
        refused: number of answers that could not be averaged, over all rounds.
    """

    kernel: np.ndarray
    bias: np.ndarray
    scaling: tuple[np.ndarray, np.ndarray] | None
    strength: float
    log_losses: list[float]
    images: int
    refused: int

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return the class probabilities (images, classes) for features (images, width)."""
        return probabilities_of((self.kernel, self.bias), scaled(features, self.scaling))


@dataclass(frozen=True, eq=False)
class Beginning:
    """What the sites tell before the first round.

    Attributes:
        scaling: mean and standard deviation of each feature over all training images, float32 (width,).
        shares: float (classes,), of the training images.
        images: number of training images.
        refused: number of answers that could not be averaged.
    """

    scaling: tuple[np.ndarray, np.ndarray]
    shares: np.ndarray
    images: int
    refused: int


class _Sound:
    """A strategy that averages only sound replies, in a fixed order; mixed into one of Flower's."""

    shapes: Mapping[str, tuple[int, ...]]
    candidates: int
    names: Mapping[int, str]
    refused = 0

    def aggregate_train(self, server_round: int, replies: Iterable[Message]):
        """Average the weights of the sites; see `sound_replies`."""
        sound, refused = sound_replies(replies, self.shapes, {}, self.names)
        self.refused += refused
        return super().aggregate_train(server_round, sound)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]):
        """Average the log losses of the sites; see `sound_replies`."""
        sound, refused = sound_replies(replies, {}, {LOG_LOSS: self.candidates}, self.names)
        self.refused += refused
        return super().aggregate_evaluate(server_round, sound)


class SoundFedAvg(_Sound, FedAvg):
    """Flower's FedAvg over sound replies."""


class SoundFedProx(_Sound, FedProx):
    """Flower's FedProx over sound replies."""


def train_together(
    grid: Grid,
    recipe: Mapping[str, object],
    plan: Plan,
    strengths: Sequence[float] = CANDIDATES,
    names: Mapping[int, str] | None = None,
) -> FederatedHead:
    """Train a linear head at all connected sites.

    First the sites tell the averages of their features, which give the scaling of all images together. Then each round
    sends the weights of every penalty to the sites, which take a few steps, and averages what they return by their
    numbers of training images. At the end, the penalty with the lowest log loss on all validation images is kept.

    Args:
        grid: the connection to the sites.
        recipe: of the model; sites with another one refuse.
        plan: strategy and rounds.
        strengths: candidates of the penalty.
        names: of the sites, by node, for the log.

    Raises:
        BonexrayError: no site answered.
    """
    start = _beginning(grid, recipe, plan, names or {})
    width, classes, count = len(start.scaling[0]), len(recipe["classes"]), len(strengths)
    shapes = {"kernel": (count, width, classes), "bias": (count, classes)}
    strategy = _strategy(plan, shapes, names or {})
    to_train, to_evaluate = (_instructions(recipe, plan, start, strengths) for _ in range(2))
    zeros = ArrayRecord({name: Array(np.zeros(shape)) for name, shape in shapes.items()})
    result = strategy.start(grid, zeros, plan.rounds, plan.round_seconds, to_train, to_evaluate)
    losses = _log_losses(result.evaluate_metrics_clientapp, plan.rounds, count)
    if not result.arrays or np.isnan(losses).all():
        raise _no_answer("rounds of training")
    best = int(np.nanargmin(losses[~np.isnan(losses).all(axis=1)][-1]))
    return FederatedHead(
        kernel=result.arrays["kernel"].numpy()[best],
        bias=result.arrays["bias"].numpy()[best],
        scaling=start.scaling if recipe["head"]["standardize"] else None,
        strength=float(strengths[best]),
        log_losses=losses[:, best].tolist(),
        images=start.images,
        refused=start.refused + strategy.refused,
    )


def _instructions(
    recipe: Mapping[str, object], plan: Plan, start: Beginning, strengths: Sequence[float]
) -> ConfigRecord:
    """Return what the sites get with the weights in each round."""
    return ConfigRecord(
        {
            RECIPE: as_text(recipe),
            MEAN: bytes_of(start.scaling[0]),
            STD: bytes_of(start.scaling[1]),
            CLASS_WEIGHTS: _class_weights(start.shares, str(recipe["head"]["class_weights"])),
            STRENGTHS: [float(strength) for strength in strengths],
            LOCAL_STEPS: plan.local_steps,
            MU: 0.0,
        }
    )


def _beginning(grid: Grid, recipe: Mapping[str, object], plan: Plan, names: Mapping[int, str]) -> Beginning:
    """Ask the sites for their numbers of images and the averages of their features."""
    record = RecordDict({CONFIG: ConfigRecord({RECIPE: as_text(recipe)})})
    messages = [Message(record, dst_node_id=node, message_type="query.moments") for node in grid.get_node_ids()]
    replies = list(grid.send_and_receive(messages, timeout=plan.round_seconds))
    width = _width(replies)
    sound, refused = sound_replies(
        replies, {"mean": (width,), "square": (width,)}, {CLASS_SHARES: len(recipe["classes"])}, names
    )
    arrays, metrics = FedAvg().aggregate_train(0, sound)
    if arrays is None or metrics is None:
        raise _no_answer("the number of its images")
    mean, square = arrays["mean"].numpy(), arrays["square"].numpy()
    plain = np.zeros(width, np.float32), np.ones(width, np.float32)
    scaling = scaling_of_moments(mean, square) if recipe["head"]["standardize"] else plain
    images = sum(int(next(iter(reply.content.metric_records.values()))[COUNT]) for reply in sound)
    return Beginning(scaling, np.array(metrics[CLASS_SHARES]), images, refused)


def _width(replies: Sequence[Message]) -> int:
    """Return the number of features that most sites have."""
    shapes = [
        reply.content[ARRAYS]["mean"].shape for reply in replies if reply.has_content() and ARRAYS in reply.content
    ]
    widths = [shape[0] for shape in shapes if len(shape) == 1]
    return max(set(widths), key=widths.count) if widths else 0


def _strategy(
    plan: Plan, shapes: Mapping[str, tuple[int, ...]], names: Mapping[int, str]
) -> SoundFedAvg | SoundFedProx:
    least = {"min_train_nodes": 1, "min_evaluate_nodes": 1, "min_available_nodes": 1}  # whoever is there trains
    strategy = SoundFedProx(proximal_mu=plan.proximal_mu, **least) if plan.strategy == FEDPROX else SoundFedAvg(**least)
    strategy.shapes, strategy.candidates, strategy.names = shapes, shapes["bias"][0], names
    return strategy


def _class_weights(shares: np.ndarray, kind: str) -> list[float]:
    """Return the weight of each class in the loss: balanced over all sites, or 1."""
    if kind != "balanced":
        return [1.0] * len(shares)
    present = shares > 0
    return np.where(present, 1 / (present.sum() * np.where(present, shares, 1)), 0.0).tolist()


def _log_losses(by_round: Mapping[int, MetricRecord], rounds: int, count: int) -> np.ndarray:
    """Return the mean log loss after each round, float (rounds, candidates), NaN for a round without answers."""
    losses = np.full((rounds, count), np.nan)
    for number, metrics in by_round.items():
        losses[number - 1] = metrics[LOG_LOSS]
    return losses


def _no_answer(what: str) -> BonexrayError:
    do = "look at the lines above: the sites may have other settings, or be too slow for --round-seconds"
    return BonexrayError("bonexray federate", expected=f"{what} from a site", received="no sound answer", do=do)
