"""Figures and tables from the numbers in `metrics/`."""
