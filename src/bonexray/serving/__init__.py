"""A trained model outside the study: as a folder that holds all of it, as answers to X-rays, in other formats."""

import bonexray.models  # noqa: F401 - quiets TensorFlow, which works only before Keras is imported
