"""X-ray files of any format into grayscale images in [0, 1]."""
