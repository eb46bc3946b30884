"""Features of frozen backbones, and the fitting of heads and networks."""
