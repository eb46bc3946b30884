"""Simulate a cohort of bone radiographs with known clean images and diagnoses.

The T-score of a patient determines the anatomy, which gives path lengths through cortex, trabeculae and soft tissue; these
give the expected signal (Beer-Lambert), then photon counts with read-out noise, then the displayed image. Lengths are in
mm, attenuation in 1/mm.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bonexray.phantom.anatomy import (
    FIELD_MM,
    Anatomy,
    View,
    bone_frame,
    bone_path,
    draw_anatomy,
    draw_view,
    tissue_path,
)
from bonexray.phantom.diagnosis import stated_label, who_label
from bonexray.phantom.patient_record import PatientRecord, draw_record
from bonexray.phantom.sites import SCATTER_MM, SITES, Site

GRID_PX = 240  # samples across the field that are needed to resolve a trabecula
# For bone, the excess over soft tissue: bone replaces marrow, which attenuates like tissue.
MU_TISSUE = 0.027  # at about 40 keV, a typical effective energy for limbs
MU_BONE = 0.10


@dataclass(frozen=True)
class SimulatedRadiograph:
    """A simulated image of a patient.

    Attributes:
        patient: "p0000", "p0001", ..., with the prefix of the site.
        view: 0 or 1.
        label: one of `CLASSES`, as stated with the image.
        true_label: that of the T-score, which differs from the stated one only with label noise.
        t_score: in standard deviations of young adults.
        volume_fraction: trabecular BV/TV, from 0 to 1.
        cortical_mm: thickness of the cortex at mid-shaft.
        record: age, sex and body mass index.
        clean: float32 (img_px, img_px) in [0, 1], with bright bone.
        noisy: the same image with noise, in the same display window.
    """

    patient: str
    view: int
    label: str
    true_label: str
    t_score: float
    volume_fraction: float
    cortical_mm: float
    record: PatientRecord
    clean: np.ndarray
    noisy: np.ndarray


def simulate(
    patients: int,
    img_px: int,
    photons: float,
    readout_sigma: float,
    seed: int,
    *,
    site: str = "a",
    label_noise: float = 0.0,
) -> Iterator[SimulatedRadiograph]:
    """Yield a cohort with one or two radiographs of each patient, patient by patient.

    T-scores are from -4 to 0.5, uniform within each class, whose shares the site sets. From 0.5 to -4, BV/TV falls from
    about 0.30 to 0.10 and the cortex from about 3.3 to 1.3 mm, with variation between patients; histomorphometry and
    radiogrammetry report values of this order. The same arguments give the same images, and more patients do not change
    the first ones.

    Args:
        patients: at least 1.
        img_px: side of the square image, at least 32; it always shows `FIELD_MM`.
        photons: mean count of a pixel in the open beam of site a, above 0.
        readout_sigma: standard deviation of the electronic noise in photons, at least 0.
        seed: at least 0.
        site: name in `SITES`.
        label_noise: chance that the label of a patient is that of a neighbouring grade, from 0 to 1.

    Raises:
        ValueError: an argument is out of range; raised at the call.

    References:
        Parfitt et al., J Clin Invest 1983; Barnett and Nordin, Clin Radiol 1960.
    """
    _require(patients >= 1, "patients", "at least 1", patients)
    _require(img_px >= 32, "img_px", "at least 32", img_px)
    _require(0 < photons < math.inf, "photons", "a finite number above 0", photons)
    _require(0 <= readout_sigma < math.inf, "readout_sigma", "a finite number >= 0", readout_sigma)
    _require(seed >= 0, "seed", "at least 0", seed)
    _require(site in SITES, "site", f"one of {', '.join(SITES)}", site)
    _require(0 <= label_noise <= 1, "label_noise", "from 0 to 1", label_noise)
    arguments = (img_px, photons, readout_sigma, seed, site, label_noise)
    return (image for number in range(patients) for image in simulate_patient(number, *arguments))


def _require(holds: bool, argument: str, expected: str, received: object) -> None:
    if not holds:
        raise ValueError(f"{argument}: expected {expected}. Received: {received!r}")


def simulate_patient(
    number: int, img_px: int, photons: float, readout_sigma: float, seed: int, site: str, label_noise: float
) -> list[SimulatedRadiograph]:
    """Return the one or two radiographs of the patient with this number, from 0; other arguments as in `simulate`."""
    place = SITES[site]
    # Separate generators, so that neither image size, label noise nor record changes the patient.
    seeds = np.random.SeedSequence([seed, number, *place.stream]).spawn(5)
    patient_rng, *view_rngs, label_rng, record_rng = map(np.random.default_rng, seeds)
    anatomy = draw_anatomy(place.shares, patient_rng)
    true_label = who_label(anatomy.t_score)
    label = stated_label(true_label, label_noise, label_rng)
    record = draw_record(anatomy.t_score, record_rng)
    images, mean_count = [], photons * place.dose
    for view in range(patient_rng.integers(1, 3)):
        rng = view_rngs[view]
        signal = _expected_signal(anatomy, draw_view(rng), place, img_px, rng)
        counts = detected(signal, mean_count, readout_sigma, rng)
        images.append(
            SimulatedRadiograph(
                patient=f"{place.prefix}{number:04d}",
                view=view,
                label=label,
                true_label=true_label,
                t_score=anatomy.t_score,
                volume_fraction=anatomy.volume_fraction,
                cortical_mm=anatomy.cortical_mm,
                record=record,
                clean=display(signal, place),
                noisy=display(counts / mean_count, place),
            )
        )
    return images


def _expected_signal(anatomy: Anatomy, view: View, site: Site, img_px: int, rng: np.random.Generator) -> np.ndarray:
    """Return the signal (img_px, img_px) relative to the open beam at nominal exposure."""
    axial, lateral, tilt = bone_frame(view, img_px * oversampling(img_px))
    bone_mm = bone_path(anatomy, view, axial, lateral, rng)
    return signal_behind(bone_mm, tissue_path(anatomy, lateral), tilt, view, site, img_px)


def oversampling(img_px: int) -> int:
    """Return the number of samples of the anatomy along the side of a pixel."""
    return max(2, math.ceil(GRID_PX / img_px))


def signal_behind(
    bone_mm: np.ndarray, tissue_mm: np.ndarray, tilt: np.ndarray, view: View, site: Site, img_px: int
) -> np.ndarray:
    """Return the signal (img_px, img_px) behind bone and tissue, relative to the open beam at nominal exposure.

    Args:
        bone_mm: length of the ray inside bone, float (grid, grid) with `oversampling` samples a pixel.
        tissue_mm: the same inside the limb.
        tilt: the gradient across the field, see `bone_frame`.
        view: exposure and hardness.
        site: hardness, scatter and blur.
        img_px: side of the image.
    """
    transmission = np.exp(-site.hardness * view.hardness * (MU_BONE * bone_mm + MU_TISSUE * tissue_mm))
    signal = view.exposure * (1 + tilt) * transmission
    # A detector pixel integrates intensity, not attenuation: average after the exponential.
    samples = oversampling(img_px)
    primary = signal.reshape(img_px, samples, img_px, samples).mean(axis=(1, 3))
    scattered = ndimage.gaussian_filter(primary, SCATTER_MM * img_px / FIELD_MM) if site.scatter else 0.0
    return ndimage.gaussian_filter(primary + site.scatter * scattered, site.blur_px)


def detected(signal: np.ndarray, mean_count: float, readout_sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return the photon counts with electronic noise that a detector reads for a signal."""
    return rng.poisson(mean_count * signal) + rng.normal(0.0, readout_sigma, signal.shape)


def display(signal: np.ndarray, site: Site) -> np.ndarray:
    """Return a signal as the site displays it, float32 in [0, 1], with bright bone."""
    white, black = site.window
    pixels = (black - np.maximum(signal, 0) ** site.exponent) / (black - white)
    return np.clip(pixels, 0, 1).astype(np.float32)
