"""A dataset as its owner laid it out: folders or a CSV of images."""
