"""What a site answers: Flower's client, the same in a simulation and at a hospital."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from bonexray.federate.head import Task, local_steps, log_losses, moments
from bonexray.federate.messages import (
    ARRAYS,
    CLASS_SHARES,
    CLASS_WEIGHTS,
    CONFIG,
    COUNT,
    LOCAL_STEPS,
    LOG_LOSS,
    MEAN,
    METRICS,
    MU,
    RECIPE,
    STD,
    STRENGTHS,
    array_of,
)
from bonexray.federate.recipe import require_same_recipe
from bonexray.federate.site import Site
from bonexray.train.linear import scaled


def client_app(site: Site) -> ClientApp:
    """Return the client of a site.

    Its answers have weights, averages over its training images and numbers of images in them, and nothing else: no
    pixel, no path, no name.

    Args:
        site: its images.
    """
    app = ClientApp()
    train, val = site.of("train"), site.of("val")
    tasks: dict[tuple, Task] = {}

    @app.query("moments")
    def _moments(message: Message, _context: Context) -> Message:
        require_same_recipe(site.recipe, _config(message)[RECIPE])
        shares = np.bincount(train.labels, minlength=len(site.classes)) / len(train.labels)
        metrics = {COUNT: len(train.labels), CLASS_SHARES: shares.tolist()}
        return _reply(message, metrics, moments(train.features))

    @app.train()
    def _train(message: Message, _context: Context) -> Message:
        require_same_recipe(site.recipe, _config(message)[RECIPE])
        kernels, biases = _weights(message)
        config = _config(message)
        given = config[MEAN], config[STD], tuple(config[CLASS_WEIGHTS]), tuple(config[STRENGTHS]), config[MU]
        if given not in tasks:  # they are the same in every round
            tasks[given] = _task(train, message)
        kernels, biases = local_steps(kernels, biases, tasks[given], int(config[LOCAL_STEPS]))
        return _reply(message, {COUNT: len(train.labels)}, {"kernel": kernels, "bias": biases})

    @app.evaluate()
    def _evaluate(message: Message, _context: Context) -> Message:
        require_same_recipe(site.recipe, _config(message)[RECIPE])
        losses = log_losses(*_weights(message), scaled(val.features, _scaling(message)), val.labels)
        return _reply(message, {COUNT: len(val.labels), LOG_LOSS: losses})

    return app


def _task(train: Site, message: Message) -> Task:
    """Return the loss of a site's training images by the server's settings."""
    config = _config(message)
    weights = np.array(config[CLASS_WEIGHTS])[train.labels]
    features = scaled(train.features, _scaling(message))
    return Task(features, train.labels, weights, np.array(config[STRENGTHS]), float(config[MU]))


def _reply(message: Message, metrics: dict[str, object], arrays: dict[str, np.ndarray] | None = None) -> Message:
    content = RecordDict({METRICS: MetricRecord(metrics)})
    if arrays:
        content[ARRAYS] = ArrayRecord({name: Array(array) for name, array in arrays.items()})
    return Message(content, reply_to=message)


def _config(message: Message):
    return message.content[CONFIG]


def _weights(message: Message) -> tuple[np.ndarray, np.ndarray]:
    arrays = message.content[ARRAYS]
    return arrays["kernel"].numpy(), arrays["bias"].numpy()


def _scaling(message: Message) -> tuple[np.ndarray, np.ndarray]:
    config = _config(message)
    return array_of(config[MEAN]), array_of(config[STD])
