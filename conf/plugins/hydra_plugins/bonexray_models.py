"""The resolver of conf/config.yaml for the settings that follow from the choice of models, as `${bonexray:models}`.

Hydra imports every module of a package `hydra_plugins` in the folder that `.dvc/config` names.
"""

import sys
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.ui import ui
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml import YAMLError

SOURCE = Path(__file__).parents[3] / "src"  # in a checkout; where bonexray is installed there is no such folder
PARAMS = Path("params.yaml")  # of the study that is composed anew
CHOICES = ("model", "mode", "modes", "fine_tune", "weights", "external")


class RefusedChoice(InterpolationResolutionError, DvcException):
    """A choice that the user has to correct.

    OmegaConf passes it on as an error of its own, and DVC prints a `DvcException` and its causes in one line. It has
    no cause, because that would repeat the message.

    Attributes:
        refusal: the `BonexrayError`.
    """

    def __init__(self, refusal: Exception) -> None:
        InterpolationResolutionError.__init__(self)
        DvcException.__init__(self, str(refusal))
        self.refusal = refusal


def resolve(part: str, *, _root_: DictConfig) -> DictConfig:
    """Return the section `models`, `backbones`, `panel` or `cohorts` for the choices in the settings.

    Raises:
        RefusedChoice: there is no such model.
    """
    if SOURCE.is_dir() and str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    from bonexray.base.errors import BonexrayError
    from bonexray.derived_params import derive_params

    if part == "models":
        _warn_of_another_dataset(_root_)
    choices = OmegaConf.to_container(OmegaConf.masked_copy(_root_, CHOICES), resolve=True)
    try:
        return OmegaConf.create(derive_params(choices)[part])
    except BonexrayError as error:
        raise RefusedChoice(error) from None


def _warn_of_another_dataset(settings: DictConfig) -> None:
    """Warn if this composition leaves the dataset of params.yaml; a `-S dataset=folder` holds for one run only."""
    now, then = settings.dataset.name, _dataset_before()
    if then not in (None, now):
        ui.warn(f"the dataset is {now} now, {then} before; `bonexray use dataset=...` keeps one for later experiments")


def _dataset_before() -> str | None:
    """Return the dataset of params.yaml; None if there is none, as in a file with the marks of a merge conflict."""
    try:
        return OmegaConf.load(PARAMS).dataset.name
    except (OSError, ValueError, AttributeError, RecursionError, YAMLError, OmegaConfBaseException):
        return None


OmegaConf.register_new_resolver("bonexray", resolve, replace=True)
