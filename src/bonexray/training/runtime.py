"""Seeds, determinism and threads: the only module, besides exports, that imports TensorFlow."""

import keras

from bonexray.models.registry import Model


def prepare_runtime(seed: int, *, deterministic: bool, one_thread: bool = False) -> None:
    """Seed every generator and, where asked, make every operation reproducible. Call before any network is built.

    Args:
        seed: for Python, NumPy and the backend.
        deterministic: let only operations run that give the same bits every time.
        one_thread: also compute on one thread; the gradients of depthwise convolutions differ from run to run on
            more, even with deterministic operations.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if deterministic and one_thread:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def learns_from_images(row: Model) -> bool:
    """Whether a model's training backpropagates through convolutions."""
    return row.builder is not None
