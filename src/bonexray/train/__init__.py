"""Training of heads on cached features and of networks on images."""
