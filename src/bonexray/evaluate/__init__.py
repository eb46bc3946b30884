"""Scores of one model, with intervals."""
