"""The layout, colours and text of all figures."""
