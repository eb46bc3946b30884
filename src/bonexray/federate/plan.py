"""How a federation trains: the strategy, its rounds, and when the server stops waiting."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError

from bonexray.base.config import Count, Positive, Section
from bonexray.base.errors import BonexrayError

FEDAVG, FEDPROX = "fedavg", "fedprox"


class Plan(Section):
    """The settings of a federation.

    Attributes:
        strategy: fedavg averages the weights of the sites; fedprox also holds each site's weights near the average, which
            brings sites of few and different patients nearer to a training on all images.
        rounds: number of times that the sites train and the server averages.
        local_steps: iterations of the solver (L-BFGS) at a site in a round. With more, sites drift apart, and fewer
            rounds are needed.
        mu: weight of the squared distance to the average in the loss of a site; only for fedprox.
        round_seconds: longest time that the server waits for the answers of a round.
        patience_seconds: longest time that the server waits without any site connected.

    References:
        McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017. Li et
        al., Federated Optimization in Heterogeneous Networks, MLSys 2020, whose inexact local solver this is.
    """

    strategy: Literal["fedavg", "fedprox"] = FEDPROX
    rounds: Count = 30
    local_steps: Count = 20
    mu: Annotated[float, Field(ge=0)] = 1.0
    round_seconds: Positive = 600.0
    patience_seconds: Positive = 600.0

    @property
    def proximal_mu(self) -> float:
        """Return `mu`, or 0 without a proximal term."""
        return self.mu if self.strategy == FEDPROX else 0.0


def plan_of(**values: object) -> Plan:
    """Return the plan with these values, each from the option of the same name.

    Raises:
        BonexrayError: a value is refused.
    """
    try:
        return Plan(**values)
    except ValidationError as error:
        detail = error.errors()[0]
        raise BonexrayError(
            f"--{str(detail['loc'][0]).replace('_', '-')}",
            expected=detail["msg"].removeprefix("Input should be "),
            received=repr(detail["input"]),
            do="correct the option",
        ) from None
