"""Composition of conf/ into params.yaml by Hydra, as DVC does it."""

from collections.abc import Sequence
from pathlib import Path

PLUGINS = "plugins"  # the folder in conf/ that .dvc/config names: Hydra finds our resolver there


def compose(target: Path, conf: Path, overrides: Sequence[str] = ()) -> None:
    """Write the settings that conf/ and some overrides make.

    Args:
        target: the file to write.
        conf: the folder with config.yaml.
        overrides: in the words of Hydra's command line.
    """
    from dvc.utils.hydra import compose_and_dump  # here, because DVC is slow to import

    conf = conf.resolve()
    compose_and_dump(str(target), str(conf), None, "config", str(conf / PLUGINS), list(overrides))
