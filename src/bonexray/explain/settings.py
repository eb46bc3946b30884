"""The section `explain` of the settings."""

from bonexray.base.config import Count, Section, Seed


class Explain(Section):
    """Number of correctly and wrongly classified test images with a heat map, and the seed of random weights."""

    right: Count = 3
    wrong: Count = 3
    seed: Seed = 7
