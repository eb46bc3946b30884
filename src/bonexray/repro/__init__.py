"""The command `bonexray repro`: `dvc repro` with a plan, a bar and a log instead of its raw lines."""
