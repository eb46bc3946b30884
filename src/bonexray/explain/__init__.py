"""Heat maps of a network, their sanity check, and diagrams of its layers."""
