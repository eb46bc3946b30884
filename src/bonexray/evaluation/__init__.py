"""Numbers from probabilities: no network, no TensorFlow."""
