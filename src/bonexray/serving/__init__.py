"""Use of a trained model outside the study: bundles, predictions, and export to other formats."""
