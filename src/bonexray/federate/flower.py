"""Flower, the library that moves the weights: an optional package."""

import logging
import os
from importlib.util import find_spec

from bonexray.base.errors import BonexrayError


def require_flower() -> None:
    """Refuse to go on without Flower; keep it from sending usage statistics and from logging every message.

    Raises:
        BonexrayError: it is not installed.
    """
    if find_spec("flwr") is None:
        raise BonexrayError(
            "bonexray federate",
            expected="Flower",
            received="it is not installed",
            do="pip install 'bonexray[federated]'",
        )
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # before the import, which reads it
    import flwr.supercore.logger  # noqa: F401 - which sets the level that the next line changes

    logging.getLogger("flwr").setLevel(logging.ERROR)
