"""Audit the images of a dataset, group those that belong together, and split the groups."""
