"""The section `explain` of the settings."""

from bonexray.config import Count, Section, Seed


class Explain(Section):
    """The test images for which heat maps are drawn."""

    right: Count = 3
    wrong: Count = 3
    seed: Seed = 7
