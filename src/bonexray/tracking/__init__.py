"""MLflow, a view of what DVC keeps: nothing here is ever an input of a stage, and nothing else knows MLflow.

A training's run is named by the hash of what the training consumed, so it is found again: a stage restored from
cache logs nothing, and `sync` makes the run from the files instead, once.
"""
