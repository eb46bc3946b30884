"""A study from Python, without DVC and Git: the same stages, in a folder of one's choice."""
