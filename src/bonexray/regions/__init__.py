"""Regions of images, as boxes and masks: where they lie in prepared images, and the files that hold them."""
