"""Numbers that describe an image without a network: the inputs of the baselines, one module for each."""
