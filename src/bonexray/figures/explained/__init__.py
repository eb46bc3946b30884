"""Heat maps and diagrams of architectures."""
