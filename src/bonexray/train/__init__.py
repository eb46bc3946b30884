"""Fitting of heads and networks."""
