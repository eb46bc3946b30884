"""External cohorts: images of other hospitals, answered by the trained models and never learnt from."""
