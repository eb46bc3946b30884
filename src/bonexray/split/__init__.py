"""Which images take part, which belong together, and which split each is in."""
