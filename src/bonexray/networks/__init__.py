"""Trainable networks: heads, backbones with their head, and networks trained from scratch."""
