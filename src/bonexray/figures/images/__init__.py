"""Galleries of images, and counts of them."""
