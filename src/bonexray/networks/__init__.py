"""Networks that are trained: a head, a backbone with its head, or a network from scratch."""
