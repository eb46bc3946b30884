"""A trained model outside the study: as a folder that holds all of it, as answers to X-rays, in other formats."""
