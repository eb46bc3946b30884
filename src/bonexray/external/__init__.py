"""External cohorts: images of other hospitals, on which the trained models are scored, and never trained."""
