"""Denoised images into one array, of one size and range."""
