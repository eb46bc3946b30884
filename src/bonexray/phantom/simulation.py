"""Simulate a cohort of bone radiographs with known clean images and diagnoses.

The T-score of a patient determines the anatomy, which gives path lengths through cortex, trabeculae and soft tissue; these
give the expected signal (Beer-Lambert), then photon counts with read-out noise, then the displayed image. Lengths are in
mm, attenuation in 1/mm; `axial` runs along the shaft, `lateral` across it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

CLASSES = ("normal", "osteopenia", "osteoporosis")

FIELD_MM = 48.0
GRID_PX = 256  # samples across the field that are needed to resolve a trabecula
LAYERS = 3
DETECTOR_BLUR_PX = 0.45
# For bone, the excess over soft tissue: bone replaces marrow, which attenuates like tissue.
MU_TISSUE = 0.027  # at about 40 keV, a typical effective energy for limbs
MU_BONE = 0.10
# Square roots of the transmission displayed as white and as black.
WINDOW = (0.20, 0.75)


@dataclass(frozen=True)
class SimulatedRadiograph:
    """A simulated image of a patient.

    Attributes:
        patient: "p0000", "p0001", ...
        view: 0 or 1.
        label: one of `CLASSES`.
        t_score: in standard deviations of young adults.
        volume_fraction: trabecular BV/TV, from 0 to 1.
        cortical_mm: thickness of the cortex at mid-shaft.
        clean: float32 (img_px, img_px) in [0, 1], with bright bone.
        noisy: the same image with noise, in the same display window.
    """

    patient: str
    view: int
    label: str
    t_score: float
    volume_fraction: float
    cortical_mm: float
    clean: np.ndarray
    noisy: np.ndarray


@dataclass(frozen=True)
class _Anatomy:
    """The properties that all views of a patient share."""

    t_score: float
    volume_fraction: float
    cortical_mm: float
    spacing_mm: float
    shaft_mm: float  # half widths
    flare_mm: float
    depth: float  # of the cross-section, relative to its width
    flare_length_mm: float
    tissue_mm: float
    side: float  # +1 or -1: left or right limb


@dataclass(frozen=True)
class _View:
    """The properties that differ between exposures: position of the limb and beam."""

    angle: float
    lateral_mm: float
    axial_mm: float
    exposure: float
    hardness: float
    gradient: tuple[float, float]


def who_label(t_score: float) -> str:
    """Return the class of a T-score by the criteria of the WHO.

    Args:
        t_score: in standard deviations.

    Returns:
        "normal" for -1 and above, "osteoporosis" for -2.5 and below, "osteopenia" in between.

    Raises:
        ValueError: the T-score is not finite.

    References:
        WHO Technical Report Series 843, 1994.
    """
    _require(math.isfinite(t_score), "t_score", "a finite number", t_score)
    if t_score >= -1.0:
        return "normal"
    return "osteoporosis" if t_score <= -2.5 else "osteopenia"


def simulate(
    patients: int, img_px: int, photons: float, readout_sigma: float, seed: int
) -> Iterator[SimulatedRadiograph]:
    """Yield a cohort with one or two radiographs of each patient, patient by patient.

    T-scores are uniform from -4 to 0.5, a third in each class. From 0.5 to -4, BV/TV falls from about 0.30 to 0.10 and the
    cortex from about 3.3 to 1.3 mm, with variation between patients; histomorphometry and radiogrammetry report values of
    this order. The same arguments give the same images, and more patients do not change the first ones.

    Args:
        patients: at least 1.
        img_px: side of the square image, at least 32; it always shows `FIELD_MM`.
        photons: mean count of a pixel in the open beam, above 0.
        readout_sigma: standard deviation of the electronic noise in photons, at least 0.
        seed: at least 0.

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
    return (image for number in range(patients) for image in _patient(number, img_px, photons, readout_sigma, seed))


def _require(holds: bool, argument: str, expected: str, received: object) -> None:
    if not holds:
        raise ValueError(f"{argument}: expected {expected}. Received: {received!r}")


def _patient(
    number: int, img_px: int, photons: float, readout_sigma: float, seed: int
) -> Iterator[SimulatedRadiograph]:
    # Separate generators, so that the image size does not change the patient.
    patient_rng, *view_rngs = map(np.random.default_rng, np.random.SeedSequence([seed, number]).spawn(3))
    anatomy = _draw_anatomy(patient_rng)
    for view in range(patient_rng.integers(1, 3)):
        rng = view_rngs[view]
        signal = _expected_signal(anatomy, _draw_view(rng), img_px, rng)
        counts = rng.poisson(photons * signal) + rng.normal(0.0, readout_sigma, signal.shape)
        yield SimulatedRadiograph(
            patient=f"p{number:04d}",
            view=view,
            label=who_label(anatomy.t_score),
            t_score=anatomy.t_score,
            volume_fraction=anatomy.volume_fraction,
            cortical_mm=anatomy.cortical_mm,
            clean=_display(signal),
            noisy=_display(counts / photons),
        )


def _draw_anatomy(rng: np.random.Generator) -> _Anatomy:
    t_score = rng.uniform(-4.0, 0.5)
    volume_fraction = float(np.clip(0.28 + 0.044 * t_score + rng.normal(0, 0.012), 0.06, 0.40))
    return _Anatomy(
        t_score=t_score,
        volume_fraction=volume_fraction,
        cortical_mm=float(np.clip(3.1 + 0.45 * t_score + rng.normal(0, 0.15), 0.6, 4.5)),
        # Bone loss removes struts rather than thinning them, so the gaps widen.
        spacing_mm=1.7 / math.sqrt(volume_fraction) * rng.uniform(0.95, 1.05),
        shaft_mm=rng.uniform(8.0, 9.0),
        flare_mm=rng.uniform(5.5, 6.5),
        depth=rng.uniform(0.65, 0.75),
        flare_length_mm=rng.uniform(15.0, 17.0),
        tissue_mm=rng.uniform(35.0, 39.0),
        side=float(rng.choice([-1.0, 1.0])),
    )


def _draw_view(rng: np.random.Generator) -> _View:
    return _View(
        angle=math.radians(rng.uniform(-14, 14)),
        lateral_mm=rng.uniform(-3, 3),
        axial_mm=rng.uniform(4, 10),
        exposure=rng.uniform(0.94, 1.06),
        hardness=rng.uniform(0.97, 1.03),
        # Steep, so that the brightness and contrast of the whole image say little about the bone.
        gradient=(rng.uniform(-0.33, 0.33), rng.uniform(-0.33, 0.33)),
    )


def _expected_signal(anatomy: _Anatomy, view: _View, img_px: int, rng: np.random.Generator) -> np.ndarray:
    """Return the transmission (img_px, img_px) relative to the open beam at nominal exposure."""
    oversampling = max(2, math.ceil(GRID_PX / img_px))
    axial, lateral, tilt = _bone_frame(view, img_px * oversampling)
    bone_mm = _bone_path(anatomy, view, axial, lateral, rng)
    tissue_mm = _tissue_path(anatomy, lateral)
    transmission = np.exp(-view.hardness * (MU_BONE * bone_mm + MU_TISSUE * tissue_mm))
    signal = view.exposure * (1 + tilt) * transmission
    # A detector pixel integrates intensity, not attenuation: average after the exponential.
    pixels = signal.reshape(img_px, oversampling, img_px, oversampling).mean(axis=(1, 3))
    return ndimage.gaussian_filter(pixels, DETECTOR_BLUR_PX)


def _bone_frame(view: _View, grid_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the axial and lateral coordinates (mm) and the heel-effect gradient of every grid point."""
    centred = ((np.arange(grid_px) + 0.5) / grid_px - 0.5) * FIELD_MM
    y, x = np.meshgrid(centred, centred, indexing="ij")
    cos, sin = math.cos(view.angle), math.sin(view.angle)
    axial = cos * y + sin * x + FIELD_MM / 2 - view.axial_mm
    lateral = cos * x - sin * y - view.lateral_mm
    tilt = (view.gradient[0] * y + view.gradient[1] * x) / (FIELD_MM / 2)
    return axial, lateral, tilt


def _bone_path(
    anatomy: _Anatomy, view: _View, axial: np.ndarray, lateral: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    # The cortex thins towards the joint, where the trabecular network carries the load; the medullary cavity of the shaft
    # has hardly any network.
    metaphysis = 1 / (1 + np.exp((axial - 1.6 * anatomy.flare_length_mm) / 3.0))
    shell = anatomy.cortical_mm * (1 - 0.6 * metaphysis)
    outer = _chord(anatomy, axial, lateral, np.zeros_like(axial))
    inner = _chord(anatomy, axial, lateral, shell)
    network = _network(anatomy, view.angle, len(axial), rng)
    return outer - inner + inner * network * (0.15 + 0.85 * metaphysis)


def _chord(anatomy: _Anatomy, axial: np.ndarray, lateral: np.ndarray, inset: np.ndarray) -> np.ndarray:
    """Return the length of the ray (mm) inside the bone without its outer `inset` mm."""
    depth = axial - inset
    widening = np.exp(-(((axial - 3) / anatomy.flare_length_mm) ** 2))
    half_width = anatomy.shaft_mm + anatomy.flare_mm * widening - inset
    # The joint surface is round at its rim and tilted towards one side.
    rim = np.clip(1 - (depth + 0.12 * anatomy.side * lateral) / 6.0, 0, 1)
    half_width = half_width * np.sqrt(1 - rim**2)
    offset = lateral - 0.25 * anatomy.side * anatomy.flare_mm * widening
    return 2 * anatomy.depth * np.sqrt(np.maximum(half_width**2 - offset**2, 0))


def _tissue_path(anatomy: _Anatomy, lateral: np.ndarray) -> np.ndarray:
    half_width = 0.95 * anatomy.tissue_mm
    return anatomy.tissue_mm * np.sqrt(np.maximum(1 - (lateral / half_width) ** 4, 0))


def _network(anatomy: _Anatomy, angle: float, grid_px: int, rng: np.random.Generator) -> np.ndarray:
    """Return the projected bone fraction (grid_px, grid_px), the mean of the struts in `LAYERS` random sheets."""
    frequency = np.fft.fftfreq(grid_px, FIELD_MM / grid_px)
    fy, fx = np.meshgrid(frequency, np.fft.rfftfreq(grid_px, FIELD_MM / grid_px), indexing="ij")
    along = math.cos(angle) * fy + math.sin(angle) * fx
    across = math.cos(angle) * fx - math.sin(angle) * fy
    # Struts follow the load, so the pattern is elongated along the axis.
    radius = np.hypot(1.7 * along, across) * anatomy.spacing_mm
    band = np.exp(-(((radius - 1) / 0.25) ** 2))
    sheets = np.zeros((grid_px, grid_px))
    for _ in range(LAYERS):
        white = rng.standard_normal((grid_px, grid_px))
        field = np.fft.irfft2(np.fft.rfft2(white) * band, s=white.shape)
        level = np.abs(field)  # low values form connected walls, high values islands
        sheets += level < np.quantile(level, anatomy.volume_fraction)
    return sheets / LAYERS


def _display(signal: np.ndarray) -> np.ndarray:
    # The square root gives photon noise the same variance in dark and bright parts.
    white, black = WINDOW
    pixels = (black - np.sqrt(np.maximum(signal, 0))) / (black - white)
    return np.clip(pixels, 0, 1).astype(np.float32)
