"""A resolver for conf/config.yaml: `${bonexray:models}` is what follows from the choice of models.

Hydra imports every module of a `hydra_plugins` package on the path that `.dvc/config` names.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

SOURCE = Path(__file__).parents[3] / "src"  # of the checkout that is composed; an installed package needs none
CHOICES = ("model", "mode", "modes", "fine_tune", "weights")


def resolve(part: str, *, _root_: DictConfig) -> DictConfig:
    """Return `models`, `backbones` or `panel` for the choices in the settings."""
    if SOURCE.is_dir() and str(SOURCE) not in sys.path:
        sys.path.insert(0, str(SOURCE))
    from bonexray.wiring import derived

    choices = OmegaConf.to_container(OmegaConf.masked_copy(_root_, CHOICES), resolve=True)
    return OmegaConf.create(derived(choices)[part])


OmegaConf.register_new_resolver("bonexray", resolve, replace=True)
