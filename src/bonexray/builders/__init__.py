"""Networks that `keras.applications` lacks, one per module, each built by its function `build`."""
