"""Scores of the chosen model in each subgroup of the record, and the search for confounders of its scores."""
