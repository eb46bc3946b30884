"""Studies from Python: the stages of the pipeline in any folder, without DVC and Git."""
