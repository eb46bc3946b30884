"""The report of a study: what is read, what is said of it, and the templates it is laid out with."""
