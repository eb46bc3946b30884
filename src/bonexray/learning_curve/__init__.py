"""Scores by number of training patients."""
