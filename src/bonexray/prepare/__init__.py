"""Collect denoised images in one array, in the size and range that networks expect."""
