"""Composition of conf/ into params.yaml by Hydra, as DVC does it."""

import runpy
from collections.abc import Sequence
from pathlib import Path

from bonexray.base.errors import BonexrayError

PLUGINS = "plugins"  # the folder in conf/ that .dvc/config names; Hydra finds our resolver there


def compose(target: Path, conf: Path, overrides: Sequence[str] = ()) -> None:
    """Compose settings and write them to a file.

    Args:
        target: the file to write.
        conf: the folder with config.yaml.
        overrides: in the syntax of Hydra's command line.

    Raises:
        BonexrayError: the overrides choose a model that does not exist.
    """
    from dvc.utils.hydra import compose_and_dump  # here, because DVC is slow to import
    from omegaconf import OmegaConf
    from omegaconf.errors import InterpolationResolutionError

    conf = conf.resolve()
    if not OmegaConf.has_resolver("bonexray"):  # Hydra searches for plugins only once in a process
        runpy.run_path(str(conf / PLUGINS / "hydra_plugins" / "bonexray_models.py"))
    try:
        compose_and_dump(str(target), str(conf), None, "config", str(conf / PLUGINS), list(overrides))
    except InterpolationResolutionError as error:
        refusal = getattr(error, "refusal", None)  # of our resolver, which lies outside the package
        if isinstance(refusal, BonexrayError):
            raise refusal from None
        raise
