"""The section `learning_curve` of the settings."""

from typing import Annotated

from pydantic import Field

from bonexray.base.config import Count, Section, Seed


class LearningCurve(Section):
    """The shares of the training patients to learn from: all, a half, and so on, `halvings` times."""

    halvings: Annotated[int, Field(ge=1, le=6)] = 3
    draws: Count = 5
    seed: Seed = 7

    @property
    def shares(self) -> list[float]:
        """Return the shares, from the smallest to 1."""
        return [0.5**halving for halving in range(self.halvings, -1, -1)]
