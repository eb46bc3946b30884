"""Scores of a model, with confidence intervals."""
