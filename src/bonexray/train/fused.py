"""Adam and AdamW whose update of a weight is one operation of TensorFlow."""

import keras


class _Fused:
    """Replaces the update of a weight by `ResourceApplyAdam`, which passes over the weight and its moments once.

    Keras computes the same update from a dozen operations, each of which passes over memory: more than a third of a step
    of a network with a wide dense layer. Keras's update stays on other backends, and for sparse gradients.
    """

    def update_step(self, gradient, variable, learning_rate) -> None:
        """Update a weight and its moments in place.

        Args:
            gradient: of the loss with respect to the weight.
            variable: the weight, on the device that is updated.
            learning_rate: scalar.
        """
        if keras.backend.backend() != "tensorflow" or self.amsgrad or hasattr(gradient, "indices"):
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        index, kind = self._get_variable_index(variable), variable.dtype
        beta_1, beta_2 = tf.cast(self.beta_1, kind), tf.cast(self.beta_2, kind)
        step = tf.cast(self.iterations + 1, kind)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, kind),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, kind),
            grad=tf.cast(gradient, kind),
        )


@keras.saving.register_keras_serializable("bonexray")
class FusedAdam(_Fused, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, faster on TensorFlow and equal but for rounding."""


@keras.saving.register_keras_serializable("bonexray")
class FusedAdamW(_Fused, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, faster on TensorFlow and equal but for rounding."""
