"""The networks: one registry table and the builders it names."""

import os

os.environ.setdefault(
    "TF_CPP_MIN_LOG_LEVEL", "3"
)  # before TensorFlow is imported: its notes on missing GPUs are no findings
