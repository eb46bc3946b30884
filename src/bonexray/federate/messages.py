"""The names of what the server and the sites send each other, and the check of what a site sends."""

import logging
from collections.abc import Iterable, Mapping

import numpy as np
from flwr.app import Array, Message
from flwr.common.constant import ErrorCode

log = logging.getLogger("bonexray")
ARRAYS, CONFIG, METRICS = "arrays", "config", "metrics"  # the records of a message
RECIPE, MEAN, STD, CLASS_WEIGHTS, STRENGTHS = "recipe", "mean", "std", "class-weights", "strengths"  # in CONFIG
LOCAL_STEPS, MU = "local-steps", "proximal-mu"  # also there; Flower's FedProx sets the second
COUNT, CLASS_SHARES, LOG_LOSS = "num-examples", "class-shares", "log-loss"  # in METRICS
FINISH = "query.finish"  # the message after which a site ends
MOST_IMAGES = 10**9


def bytes_of(array: np.ndarray) -> bytes:
    """Return the values of a vector, for a record of settings."""
    return np.asarray(array, "<f4").tobytes()


def array_of(content: bytes) -> np.ndarray:
    """Return the vector, float32, that `bytes_of` wrote."""
    return np.frombuffer(content, "<f4")


def sound_replies(
    replies: Iterable[Message],
    arrays: Mapping[str, tuple[int, ...]],
    lists: Mapping[str, int],
    names: Mapping[int, str] | None = None,
) -> tuple[list[Message], int]:
    """Return the replies that can be averaged, ordered by site, and the number of others, each with a line in the log.

    Args:
        replies: of the sites in one round.
        arrays: name and shape of each array that a reply has to have.
        lists: name and length of each list of numbers.
        names: of the sites, by node; by default their numbers.
    """
    sound, refused = [], 0
    for reply in sorted(replies, key=lambda one: one.metadata.src_node_id):
        problem = _problem(reply, arrays, lists)
        if problem is None:
            sound.append(reply)
        else:
            refused += 1
            node = reply.metadata.src_node_id
            log.warning("%s is left out of this round: %s", (names or {}).get(node, f"site {node}"), problem)
    return sound, refused


def _problem(reply: Message, arrays: Mapping[str, tuple[int, ...]], lists: Mapping[str, int]) -> str | None:
    """Return what keeps a reply from being averaged; None if nothing does."""
    if reply.has_error():
        raised = reply.error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
        return "its training stopped with an error" if raised else "it did not answer in time"
    content = reply.content
    if set(content) != {METRICS, *([ARRAYS] if arrays else [])} or set(content.get(ARRAYS, {})) != set(arrays):
        return "it sent other records"
    if set(content[METRICS]) != {COUNT, *lists}:
        return "it sent other numbers"
    problems = (_problem_of_array(name, content[ARRAYS][name], shape) for name, shape in arrays.items())
    return next(filter(None, problems), None) or _problem_of_numbers(content[METRICS], lists)


def _problem_of_array(name: str, array: Array, shape: tuple[int, ...]) -> str | None:
    try:
        values = array.numpy()
    except (ValueError, TypeError, EOFError, OSError):
        return f"its {name} is no array of numbers"
    if values.shape != shape or values.dtype != np.float64:
        return f"its {name} has the shape {values.shape} of {values.dtype}, not {shape} of float64"
    return None if np.isfinite(values).all() else f"its {name} is not finite"


def _problem_of_numbers(metrics: Mapping[str, object], lists: Mapping[str, int]) -> str | None:
    count = metrics[COUNT]
    if not isinstance(count, int) or not 0 < count < MOST_IMAGES:
        return f"it counts {count} images"
    for name, length in lists.items():
        values = metrics[name]
        if not isinstance(values, list) or len(values) != length or not np.isfinite(values).all():
            return f"its {name} is not a list of {length} numbers"
    return None
