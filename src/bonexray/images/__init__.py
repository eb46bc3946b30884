"""Read X-ray files of any format as grayscale images in [0, 1]."""
