"""The built-in cohort: simulated radiographs whose truth is known."""
