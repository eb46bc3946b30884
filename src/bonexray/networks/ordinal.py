"""The class layer for ordered classes: cumulative logits, or the conditional logits of CORN."""

from collections.abc import Callable

import keras
from keras import ops

from bonexray.networks.outputs import GAP, even_logits, slopes_of

TINY = 1e-6  # distance below which the probability between two thresholds has no gradient


class Descending(keras.constraints.Constraint):
    """Keep thresholds in falling order, at least `GAP` apart, so that no probability is negative."""

    def __call__(self, bias):
        """Return thresholds (classes - 1,), each lowered as far as the one before it requires."""
        kept = [bias[0]]
        for number in range(1, bias.shape[0]):
            kept.append(ops.minimum(bias[number], kept[-1] - GAP))
        return ops.stack(kept)


class Ordinal(keras.layers.Layer):
    """A layer from features (batch, width) to probabilities (batch, classes) of ordered classes.

    Its logits are `features @ kernel + bias`, (batch, classes - 1). With the output `cumulative`, all share one slope,
    and the sigmoid of logit k is the probability of a grade above k (McCullagh 1980). With `corn`, each has its own,
    and its sigmoid is that probability among images of at least grade k (Shi, Cao and Raschka 2021). The cross entropy
    of these probabilities is the likelihood of the first model, and the loss of CORN times a constant.

    Args:
        classes: number of classes, at least 3.
        output: `cumulative` or `corn`.
        kwargs: of every layer: name, dtype.
    """

    def __init__(self, classes: int, output: str, **kwargs) -> None:
        super().__init__(**kwargs)
        self.classes, self.kind = classes, output

    def build(self, input_shape: tuple) -> None:
        """Create the weights; at first no class is more probable than another by the bias."""
        even, ordered = even_logits(self.kind, self.classes), self.kind == "cumulative"
        self.kernel = self.add_weight(
            shape=(input_shape[-1], slopes_of(self.kind, self.classes)), initializer="glorot_uniform", name="kernel"
        )
        self.bias = self.add_weight(
            shape=even.shape,
            initializer=lambda _shape, dtype: ops.convert_to_tensor(even, dtype),
            constraint=Descending() if ordered else None,
            name="bias",
        )

    def call(self, features):
        """Return the class probabilities."""
        return self.activation(ops.matmul(features, self.kernel) + self.bias)

    def activation(self, logits):
        """Return logits (batch, classes - 1) as class probabilities (batch, classes)."""
        return keras.activations.softmax(LOG_PROBABILITIES[self.kind](logits))  # so that losses find its logits

    def get_config(self) -> dict[str, object]:
        """Return the arguments of the layer."""
        return {**super().get_config(), "classes": self.classes, "output": self.kind}


def by_class(logits):
    """Return the evidence for each class, (batch, classes), from logits (batch, classes - 1).

    For the lowest grade, that is the logit of not being above it, and for any other the logit of being above the one
    before.
    """
    return ops.concatenate([-logits[:, :1], logits], axis=1)


def _cumulative(logits):
    """Return the logarithms of `outputs.cumulative`."""
    end = ops.zeros_like(logits[:, :1])
    gap = ops.maximum(logits[:, :-1] - logits[:, 1:], TINY)
    between = ops.log(ops.tanh(gap / 2) * (1 + ops.exp(-gap)))  # 1 - exp(-gap), exactly; ONNX has no expm1
    return _reached(ops.log_sigmoid(logits), end) + _stopped(logits, end) + ops.concatenate([end, between, end], axis=1)


def _corn(logits):
    """Return the logarithms of `outputs.corn`."""
    end = ops.zeros_like(logits[:, :1])
    return _reached(ops.cumsum(ops.log_sigmoid(logits), axis=1), end) + _stopped(logits, end)


def _reached(logarithms, end):
    return ops.concatenate([end, logarithms], axis=1)


def _stopped(logits, end):
    return ops.concatenate([ops.log_sigmoid(-logits), end], axis=1)


LOG_PROBABILITIES: dict[str, Callable] = {"cumulative": _cumulative, "corn": _corn}
