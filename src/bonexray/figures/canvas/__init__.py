"""What all figures share: size, colours, labels."""
