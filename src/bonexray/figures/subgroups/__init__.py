"""Scores by subgroup."""
