"""Results in words and tables, for the terminal, the README and pull requests."""
