"""A page on this machine that shows what a model makes of an X-ray, and the same answers as JSON."""
