"""Seeds, determinism, threads, precision, devices and gradients: the only module, with exports, that imports TensorFlow."""

import json
import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import keras

from bonexray.registry import FINE_TUNE, FULL

log = logging.getLogger("bonexray")
EXCHANGE_SECONDS = 600  # a machine that has not answered by then is lost, and so is the training


@dataclass(frozen=True)
class Machine:
    """This machine among those that train one model together."""

    rank: int
    count: int


def this_machine() -> Machine:
    """What TF_CONFIG, TensorFlow's own way of naming a cluster, says; without it a machine alone."""
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}"))
    workers = cluster.get("cluster", {}).get("worker", [])
    return Machine(cluster["task"]["index"], len(workers)) if len(workers) > 1 else Machine(0, 1)


def sum_over_machines(flat, machine: Machine, exchange: int):
    """The sum of a vector over all machines, each of which gives its own.

    Args:
        flat: float32 (n,), the same length on every machine.
        machine: this one.
        exchange: a number that names this exchange, the same on every machine.
    """
    import tensorflow as tf

    return tf.raw_ops.CollectiveReduceV2(
        input=flat,
        group_size=machine.count,
        group_key=1,
        instance_key=exchange,
        ordering_token=[],
        merge_op="Add",
        final_op="Id",
        communication_hint="ring",
        timeout_seconds=EXCHANGE_SECONDS,
    )


def prepare_runtime(seed: int, *, deterministic: bool, mode: str | None = None, mixed_precision: bool = False) -> None:
    """Seed every generator and, where asked, make every operation reproducible. Call before any network is built.

    Args:
        seed: for Python, NumPy and the backend.
        deterministic: let only operations run that give the same bits every time.
        mode: of the training; with `fine_tune` and `full` a deterministic run computes on one thread, because the
            gradients of depthwise convolutions differ from run to run on more.
        mixed_precision: compute in 16-bit numbers where there is a GPU for it.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        _prepare_tensorflow(deterministic, one_thread=mode in (FINE_TUNE, FULL))
        if mode is not None and this_machine().count > 1:
            _join_machines()
    if mixed_precision:
        _mix_precision()


def start_anew(seed: int) -> None:
    """Forget the networks of an earlier training in this process, and seed every generator for the next."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)


def distribution() -> AbstractContextManager:
    """The scope in which networks are built: every GPU of the machine holds a replica and its share of each batch."""
    names = gpus()
    if keras.backend.backend() != "tensorflow" or len(names) < 2:
        return nullcontext()
    return _mirrored(*names).scope()


def devices_in_scope() -> int:
    """How many devices share each batch here."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def gpus() -> list[str]:
    """The GPUs that the backend sees."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [device.name for device in tf.config.list_logical_devices("GPU")]
    return [name for name in keras.distribution.list_devices() if name.startswith(("gpu", "cuda"))]


def gradients(function: Callable[[list], object], inputs: list) -> list:
    """How the sum of a function's numbers changes with each of its inputs, on Keras's TensorFlow or JAX backend.

    Args:
        function: of a list of tensors, in operations of Keras; gives a tensor of any shape.
        inputs: where the gradients are taken.

    Returns:
        A gradient an input, in its shape; zeros where the function does not depend on it.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(lambda values: keras.ops.sum(function(values)))(
            [keras.ops.convert_to_tensor(x) for x in inputs]
        )
    import tensorflow as tf

    inputs = [tf.convert_to_tensor(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(function(inputs))
    return tape.gradient(total, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)


@cache  # two strategies in one process would answer each other's exchanges
def _mirrored(*devices: str):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _prepare_tensorflow(deterministic: bool, one_thread: bool) -> None:
    import tensorflow as tf

    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if deterministic and one_thread:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _join_machines() -> None:
    """Start this machine's server and wait for the others'; the strategy itself is not used."""
    import tensorflow as tf

    tf.distribute.MultiWorkerMirroredStrategy()


def _mix_precision() -> None:
    if gpus():
        keras.mixed_precision.set_dtype_policy("mixed_float16")
    else:
        log.info("no GPU here: train.mixed_precision changes nothing")
