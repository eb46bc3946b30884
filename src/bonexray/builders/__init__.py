"""Networks that Keras does not offer, one a file."""
