"""The images of a dataset, listed from its folders or its CSV."""
