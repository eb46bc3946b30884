"""Galleries and counts of images."""
