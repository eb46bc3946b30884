"""Seeds, determinism, threads, precision, devices and gradients.

Besides the exports of models, this is the only module that imports TensorFlow.
"""

import ctypes
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import keras

from bonexray.registry import FINE_TUNE, FULL

log = logging.getLogger("bonexray")
# Of glibc's mallopt: return no memory below 2 GiB, reserve 256 MiB at a time, and map no single buffer.
MALLOC_OPTIONS = {-1: 2**31 - 1, -2: 2**28, -4: 0}
EXCHANGE_SECONDS = 600  # training fails if a machine does not respond within this time


@dataclass(frozen=True)
class Machine:
    """A machine of a cluster that trains one model.

    Attributes:
        rank: its number, from 0.
        count: number of machines.
    """

    rank: int
    count: int


def this_machine() -> Machine:
    """Return this machine as TensorFlow's TF_CONFIG describes it; a single machine if that is unset."""
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}"))
    workers = cluster.get("cluster", {}).get("worker", [])
    return Machine(cluster["task"]["index"], len(workers)) if len(workers) > 1 else Machine(0, 1)


def sum_over_machines(flat, machine: Machine, exchange: int):
    """Return the elementwise sum of all machines' vectors.

    Args:
        flat: float32 (n,), the same length on every machine.
        machine: this machine.
        exchange: a number that identifies the exchange, the same on every machine.
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
    """Seed every random generator and configure the backend. Call before any network is built.

    Args:
        seed: seed of Python, NumPy and the backend.
        deterministic: allow only operations whose results are the same to the last bit in every run.
        mode: mode of training; `fine_tune` and `full` use one thread if deterministic, because with several the
            gradients of depthwise convolutions vary between runs.
        mixed_precision: compute in 16 bits if there is a GPU.
    """
    keras.utils.set_random_seed(seed)
    _keep_freed_memory()
    if keras.backend.backend() == "tensorflow":
        _prepare_tensorflow(deterministic, one_thread=mode in (FINE_TUNE, FULL))
        if mode is not None and this_machine().count > 1:
            _join_machines()
    if mixed_precision:
        _mix_precision()


def start_anew(seed: int) -> None:
    """Clear the networks of earlier trainings in this process, and seed every random generator again.

    The precision stays that of `prepare_runtime`; Keras clears it with the networks.
    """
    precision = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)


def distribution() -> AbstractContextManager:
    """Return the scope in which to build networks: with several GPUs, each holds a replica and gets a share of a batch."""
    names = gpus() if keras.backend.backend() == "tensorflow" else []
    return _mirrored(*names).scope() if len(names) > 1 else nullcontext()


def devices_in_scope() -> int:
    """Return the number of devices that share each batch in the current scope."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def gpus() -> list[str]:
    """Return the names of the GPUs that the backend can use."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [device.name for device in tf.config.list_logical_devices("GPU")]
    return [name for name in keras.distribution.list_devices() if name.startswith(("gpu", "cuda"))]


def compiled(function: Callable) -> Callable:
    """Return a function of tensors as one graph, which runs faster, on Keras's TensorFlow backend; as it is on others.

    Python values that the function reads, such as a layer's momentum, are those of its first call with inputs of a kind.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, reduce_retracing=True)


def gradients(function: Callable[[list], object], inputs: list) -> list:
    """Return the gradients of the sum of a function's values, on Keras's TensorFlow or JAX backend.

    Args:
        function: maps a list of tensors to a tensor of any shape, in operations of Keras.
        inputs: the point at which to take the gradients.

    Returns:
        One gradient per input, of its shape; zeros if the function does not depend on it.
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


@cache  # exchanges of two strategies in one process would get mixed up
def _mirrored(*devices: str):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next step of training instead of returning it to the system.

    The buffers of a step are large, so glibc maps them anew and the system clears their pages at every step, which takes
    a third of the time of a small network. Other C libraries lack `mallopt` and are left as they are.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, "mallopt"):
        for option, value in MALLOC_OPTIONS.items():
            library.mallopt(option, value)


def _prepare_tensorflow(deterministic: bool, one_thread: bool) -> None:
    import tensorflow as tf

    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if deterministic and one_thread:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _join_machines() -> None:
    """Start this machine's server and wait for the others; the strategy itself is not used."""
    import tensorflow as tf

    tf.distribute.MultiWorkerMirroredStrategy()


def _mix_precision() -> None:
    if gpus():
        keras.mixed_precision.set_dtype_policy("mixed_float16")
    else:
        log.info("no GPU: train.mixed_precision has no effect")
