"""The optimisers whose update is one operation take the steps of Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bonexray.train.fused import FusedAdam, FusedAdamW

STEPS = 20
PAIRS = [
    (FusedAdam, keras.optimizers.Adam, {}),
    (FusedAdam, keras.optimizers.Adam, {"weight_decay": 0.1}),
    (FusedAdam, keras.optimizers.Adam, {"amsgrad": True}),
    (FusedAdam, keras.optimizers.Adam, {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 0.01}),
    (FusedAdamW, keras.optimizers.AdamW, {}),
    (FusedAdamW, keras.optimizers.AdamW, {"weight_decay": 0.1}),
]


def trained(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Return the weights of a small network, one of whose gradients is sparse, after a few steps."""
    keras.utils.set_random_seed(7)
    network = keras.Sequential([keras.layers.Embedding(9, 5), keras.layers.Flatten(), keras.layers.Dense(3)])
    network.compile(optimizer, "mse")
    rng = np.random.default_rng(7)
    for _ in range(STEPS):
        network.train_on_batch(rng.integers(0, 9, (8, 4)), rng.standard_normal((8, 3)))
    return network.get_weights()


@pytest.mark.parametrize(("fused", "keras_own", "options"), PAIRS)
def test_a_fused_optimiser_takes_the_steps_of_keras(fused: type, keras_own: type, options: dict) -> None:
    ours, theirs = trained(fused(0.05, **options)), trained(keras_own(0.05, **options))
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=2e-4, atol=2e-5)


def test_a_learning_rate_may_follow_a_schedule() -> None:
    schedule = keras.optimizers.schedules.CosineDecay(0.05, STEPS)
    for mine, reference in zip(trained(FusedAdam(schedule)), trained(keras.optimizers.Adam(schedule)), strict=True):
        np.testing.assert_allclose(mine, reference, rtol=2e-4, atol=2e-5)


def test_a_dense_weight_is_updated_by_one_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    updated, operation = [], tf.raw_ops.ResourceApplyAdam
    monkeypatch.setattr(tf.raw_ops, "ResourceApplyAdam", lambda **named: updated.append(named) or operation(**named))
    trained(FusedAdam(0.05))
    assert {tuple(named["grad"].shape) for named in updated} == {(20, 3), (3,)}  # the kernel and the bias
