"""Images in: which files there are, what they hold, and which split each belongs to."""
