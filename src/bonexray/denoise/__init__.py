"""Noise filters, and the image quality that they achieve."""
