"""The files that stages exchange: the manifest, arrays, predictions and scores."""
