"""The record of a study in MLflow. No stage reads it, and no other package imports MLflow.

Each training has a fingerprint, a hash of its inputs, by which its run is found again. A stage restored from DVC's cache
logs nothing; `sync` then creates its run from the files, once.
"""
