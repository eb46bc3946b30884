"""Figures: data in, PNG out, the same bytes for the same numbers."""
