"""Test the table of licences: it is complete, agrees with the packages, and refuses what may not be used commercially."""

import dataclasses
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

import pytest

from bonexray.check import inspect, licences_line, settings_findings
from bonexray.composition import compose
from bonexray.denoise.bm3d_engines import ENGINES as BM3D_ENGINES
from bonexray.denoise.filters import FILTERS as FILTER_FUNCTIONS
from bonexray.licences import ENGINES, FILTERS, PACKAGES, WEIGHTS, Licence
from bonexray.registry import BACKBONES
from bonexray.study import Settings, load_settings

CONF = Path(__file__).parents[1] / "conf"
LICENCES = {**PACKAGES, **{f"weights of {name}": licence for name, licence in WEIGHTS.items()}}
# What packages call licences in their metadata.
WORDS = {
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: Free for non-commercial use": "LicenseRef-BM3D-non-commercial",
    "Apache License 2.0": "Apache-2.0",
}
Compose = Callable[..., Settings]


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    """Return a function that composes settings from overrides."""

    def settings(*overrides: str) -> Settings:
        compose(tmp_path / "params.yaml", CONF, overrides)
        return load_settings(tmp_path / "params.yaml")

    return settings


def stated_by(package: str) -> str:
    """Return the licence in the metadata of an installed package."""
    facts = metadata(package)
    classifiers = [text for text in facts.get_all("Classifier") or () if text.startswith("License ::")]
    stated = facts.get("License-Expression") or (classifiers[0] if classifiers else facts.get("License"))
    return WORDS.get(stated, stated)


# The table


def test_every_filter_engine_and_row_with_published_weights_has_an_entry() -> None:
    assert set(FILTERS) == set(FILTER_FUNCTIONS)
    assert set(ENGINES) == set(BM3D_ENGINES)
    assert {package for packages in FILTERS.values() for package in packages} | set(ENGINES) <= set(PACKAGES)
    assert set(WEIGHTS) == {name for name, row in BACKBONES.items() if row.published}


@pytest.mark.parametrize("name", LICENCES)
def test_an_entry_names_its_licence_its_source_and_the_day_it_was_read(name: str) -> None:
    licence = LICENCES[name]
    assert licence.name.startswith("LicenseRef-") or licence.allows_commercial_use
    assert licence.source.startswith("https://")
    assert licence.read is None or (len(licence.read), licence.read[:2]) == (len("2026-11-25"), "20")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_table_agrees_with_the_metadata_of_an_installed_package(package: str) -> None:
    try:
        stated = stated_by(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    assert PACKAGES[package].name == stated


def test_the_packaged_weights_have_the_licence_in_their_package() -> None:
    packages = {name: row.published.package for name, row in BACKBONES.items() if row.published}
    packaged = {name: package for name, package in packages.items() if package}
    assert packaged
    for name, package in packaged.items():
        text = next(file for file in files(package) if file.name == "LICENSE").read_text()
        assert "Apache License, Version 2.0" in text and WEIGHTS[name].name == "Apache-2.0"


# What a study uses

USED = {
    "the default": ((), ["the package bm3d: LicenseRef-BM3D-non-commercial, not for", "weights of efficientnet_lite0"]),
    "an engine": (("+denoise.options.engine=bmnd",), ["the package bmnd: MIT"]),
    "a GPU": (("+denoise.options.device=gpu",), ["the package bm3d-cupy: MIT"]),
    "a filter of two packages": (
        ("denoise.method=clahe_median",),
        ["scikit-image: BSD-3-Clause", "scipy: BSD-3-Clause"],
    ),
    "ImageNet": (("weights.source=imagenet",), ["the published weights of vgg16: CC-BY-4.0", "resnet50: MIT"]),
    "a file": (("+weights.files.vgg16=a.h5",), ["the weights file of vgg16: no licence stated"]),
    "nothing": (("denoise.method=none", "weights.source=random"), ["licences: nothing of others"]),
}


@pytest.mark.parametrize(("overrides", "parts"), USED.values(), ids=USED)
def test_check_lists_what_a_study_uses(composed: Compose, overrides: tuple[str, ...], parts: list[str]) -> None:
    line = licences_line(composed(*overrides))
    assert [part for part in parts if part not in line] == []
    assert "\n" not in line


def test_check_prints_the_licences_of_a_sound_study(tmp_path: Path) -> None:
    compose(tmp_path / "params.yaml", CONF, ["denoise.method=nlm", "weights.source=random"])
    inspection = inspect(tmp_path / "params.yaml")
    assert inspection.findings == []
    assert "licences: the package scikit-image: BSD-3-Clause" in inspection.lines


# Commercial use

REFUSED = {
    "the default filter": ((), ["denoise.method=bm3d", "the package bm3d", "engine=bmnd or bm3dornl", "nlm"]),
    "the engine bm3d": (("+denoise.options.engine=bm3d",), ["denoise.method=bm3d", "BM3D-non-commercial"]),
    "published weights": (
        ("denoise.method=nlm", "weights.source=imagenet"),
        ["weights of xception", "CC-BY-NC-4.0, see https://example.org", "weights.source=random"],
    ),
}
FREE = {
    "another filter": ("denoise.method=nlm",),
    "no filter": ("denoise.method=none",),
    "weights that are not free, but not used": ("denoise.method=nlm", "weights.source=packaged"),
    "a model that is left out": ("denoise.method=nlm", "weights.source=imagenet", "model=[vgg16,resnet18]"),
}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the weights of one backbone a licence that forbids commercial use."""
    licence = Licence("CC-BY-NC-4.0", "https://example.org", "2026-11-25")
    monkeypatch.setitem(WEIGHTS, "xception", licence)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(("overrides", "parts"), REFUSED.values(), ids=REFUSED)
def test_what_may_not_be_used_commercially_is_refused_in_one_line(
    composed: Compose, overrides: tuple[str, ...], parts: list[str]
) -> None:
    assert list(settings_findings(composed(*overrides))) == []
    lines = [str(finding) for finding in settings_findings(composed("licences.allow=commercial", *overrides))]
    assert len(lines) == 1 and "\n" not in lines[0]
    assert [part for part in [*parts, "licences.allow is commercial"] if part not in lines[0]] == []


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("overrides", FREE.values(), ids=FREE)
def test_what_is_free_is_not_refused(composed: Compose, overrides: tuple[str, ...]) -> None:
    assert list(settings_findings(composed("licences.allow=commercial", *overrides))) == []


@pytest.mark.parametrize("engine", ["bmnd", "bm3dornl"])
def test_a_free_engine_is_not_refused(composed: Compose, engine: str) -> None:
    settings = composed("licences.allow=commercial", f"+denoise.options.engine={engine}")
    assert [text for text in map(str, settings_findings(settings)) if "licence" in text] == []


@pytest.mark.parametrize(
    ("name", "allows"),
    [("MIT", True), ("MIT AND BSD-3-Clause", True), ("MIT AND CC-BY-NC-4.0", False), ("https://example.org", False)],
)
def test_a_licence_allows_commercial_use_only_if_all_its_parts_are_known_to(name: str, allows: bool) -> None:
    assert dataclasses.replace(PACKAGES["scipy"], name=name).allows_commercial_use == allows
