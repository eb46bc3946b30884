"""Models compared with each other, and ensembles of them."""
