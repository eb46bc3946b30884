"""Figures of external cohorts."""
