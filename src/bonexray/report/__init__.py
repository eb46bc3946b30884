"""The report of a study: one page, a summary, and a card for each model."""
