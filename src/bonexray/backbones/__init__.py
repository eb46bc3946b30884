"""Backbones: convolutional networks and transformers without their top."""
