"""Data augmentation by random views of training images."""
