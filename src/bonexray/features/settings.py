"""Settings of the sections `weights` and `features`, and the entries of `backbones`."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bonexray.base.config import Count, Section, Seed
from bonexray.registry import Convention


class WeightsFile(Section):
    """A weights file of one's own for a backbone.

    Attributes:
        path: of the file, HDF5 without top, or safetensors as a publisher of the backbone writes them.
        convention: preprocessing of the images that its weights expect; None takes that of the backbone's row.
        source: address or words that say where it is from.
        licence: SPDX name of its licence, or a link to it.
        sha256: of the file; None accepts any.
    """

    path: str
    convention: Convention | None = None
    source: str | None = None
    licence: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


def _as_mapping(value: object) -> object:
    """Return a path alone as a mapping; refuse what is neither, in words that name the keys."""
    if isinstance(value, str):
        return {"path": value}
    if isinstance(value, WeightsFile):
        return value
    keys = list(WeightsFile.model_fields)
    if not isinstance(value, Mapping) or "path" not in value or set(value) - set(keys):
        raise ValueError(f"a path, or a mapping with path and any of {', '.join(keys[1:])}")
    return value


class Weights(Section):
    """The starting weights of the backbones."""

    source: Literal["packaged", "random", "imagenet"] = "packaged"
    mirror: str | None = None
    files: dict[str, Annotated[WeightsFile, BeforeValidator(_as_mapping)]] = Field(default_factory=dict)
    seed: Seed = 7


class Features(Section):
    """The extraction of features by frozen backbones."""

    batch_images: Count = 32
    copies: Annotated[int, Field(ge=0)] = 0


class BackboneRow(Section):
    """A backbone of the study, as a parameter of its features stage: a change runs the stage again.

    Attributes:
        row: facts of its row in the registry, in words.
        watch: file on which the stage depends: the code that builds the backbone, or its weights file.
    """

    row: str
    watch: str
