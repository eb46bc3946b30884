"""The report of a study: a page, a summary and a card for each model."""
