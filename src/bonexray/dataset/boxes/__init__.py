"""Boxes and masks beside images, in the formats that datasets and annotation programs use."""
