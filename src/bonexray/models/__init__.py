"""The networks: one registry table and the builders it names."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow: its notes are no findings
