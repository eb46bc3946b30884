"""Training across hospitals with Flower: the images stay where they are, and weights travel."""
