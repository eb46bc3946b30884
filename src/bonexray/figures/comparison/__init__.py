"""Figures of the models side by side."""
