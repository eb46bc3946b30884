"""The command line: `bonexray --help`."""

import sys

from bonexray.base.errors import BonexrayError
from bonexray.cli.application import app

# Importing these modules registers their commands, in the order in which the help lists them.
from bonexray.cli import study  # isort: skip
from bonexray.cli import results  # isort: skip
from bonexray.cli import models  # isort: skip
from bonexray.cli import federate  # isort: skip

__all__ = ["app", "federate", "main", "models", "results", "study"]


def main() -> None:
    """Run a command; print an error that the user can correct as one line, without a traceback."""
    try:
        app(standalone_mode=True)
    except BonexrayError as error:
        print(f"bonexray: {error}", file=sys.stderr)
        sys.exit(1)
