"""The section `track` of the settings."""

import os
import re

from pydantic import Field

from bonexray.base.config import Section
from bonexray.base.errors import BonexrayError

DEFAULT, MAX_CHARACTERS = "bonexray", 250
ENVIRONMENT = "MLFLOW_EXPERIMENT_NAME"
# `models:/<name>@<alias>` and MLflow's queries read these characters as their own marks.
NO_MODEL = re.compile(r"""[/:@?#%"'\\\x00-\x1f]|^\.+$""")


class Track(Section):
    """The experiment in MLflow, and the registration of the chosen model."""

    experiment: str = DEFAULT
    registered: bool = Field(default=False, alias="register")  # a pydantic model has a method of that name

    @property
    def name(self) -> str:
        """The name of the experiment: the setting, or `MLFLOW_EXPERIMENT_NAME` where the setting has its default."""
        return _source_and_name(self)[1]


def require_usable_name(track: Track) -> None:
    """Refuse a name that MLflow cannot use for the experiment or for the registered model.

    Raises:
        BonexrayError: the name is empty, too long, or contains a slash or, with `track.register`, another such mark.
    """
    what, name = _source_and_name(track)
    do = "choose another name"
    if not name.strip() or name != name.strip() or len(name) > MAX_CHARACTERS:
        expected = f"a name of 1 to {MAX_CHARACTERS} characters, without spaces around it"
        raise BonexrayError(what, expected=expected, received=repr(name), do=do)
    databricks = os.environ.get("MLFLOW_TRACKING_URI", "").startswith("databricks")  # where names are paths
    if "/" in name and not (databricks and not track.registered):
        expected = "a name without a slash, because the registered model has it too"
        raise BonexrayError(what, expected=expected, received=repr(name), do=f"choose another, such as {_plain(name)}")
    if track.registered and NO_MODEL.search(name):
        expected = "with track.register, a name that a model may have, without any of : @ ? # % \" ' and \\"
        do = f"choose another, such as {_plain(name)}, or set track.register=false"
        raise BonexrayError(what, expected=expected, received=repr(name), do=do)


def _source_and_name(track: Track) -> tuple[str, str]:
    named = os.environ.get(ENVIRONMENT)
    return (ENVIRONMENT, named) if named and track.experiment == DEFAULT else ("track.experiment", track.experiment)


def _plain(name: str) -> str:
    return re.sub(r"[^\w. -]+", "-", name).strip("-. ") or DEFAULT
