"""Search for a model's settings on the validation split."""
