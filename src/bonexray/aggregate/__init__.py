"""Comparison of the models, and ensembles of them."""
