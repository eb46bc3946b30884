"""The built-in cohort: simulated radiographs with known true values."""
