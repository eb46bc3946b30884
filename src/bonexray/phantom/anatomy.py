"""The bone of a simulated patient, and how it lies in the beam.

Lengths are in mm; `axial` runs along the shaft, `lateral` across it.
"""

import math
from dataclasses import dataclass

import numpy as np

from bonexray.phantom.diagnosis import draw_t_score

FIELD_MM = 48.0
LAYERS = 3


@dataclass(frozen=True)
class Anatomy:
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
class View:
    """The properties that differ between exposures: position of the limb and beam."""

    angle: float
    lateral_mm: float
    axial_mm: float
    exposure: float
    hardness: float
    gradient: tuple[float, float]


def draw_anatomy(shares: tuple[float, float, float], rng: np.random.Generator) -> Anatomy:
    """Draw a patient; `shares` as in `draw_t_score`."""
    t_score = draw_t_score(shares, rng)
    volume_fraction = float(np.clip(0.28 + 0.044 * t_score + rng.normal(0, 0.012), 0.06, 0.40))
    return Anatomy(
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


def draw_view(rng: np.random.Generator) -> View:
    """Draw an exposure."""
    return View(
        angle=math.radians(rng.uniform(-14, 14)),
        lateral_mm=rng.uniform(-3, 3),
        axial_mm=rng.uniform(4, 10),
        exposure=rng.uniform(0.94, 1.06),
        hardness=rng.uniform(0.97, 1.03),
        # Steep, so that the brightness and contrast of the whole image say little about the bone.
        gradient=(rng.uniform(-0.33, 0.33), rng.uniform(-0.33, 0.33)),
    )


def bone_frame(view: View, grid_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the axial and lateral coordinates (mm) and the heel-effect gradient of every grid point."""
    centred = ((np.arange(grid_px) + 0.5) / grid_px - 0.5) * FIELD_MM
    y, x = np.meshgrid(centred, centred, indexing="ij")
    cos, sin = math.cos(view.angle), math.sin(view.angle)
    axial = cos * y + sin * x + FIELD_MM / 2 - view.axial_mm
    lateral = cos * x - sin * y - view.lateral_mm
    tilt = (view.gradient[0] * y + view.gradient[1] * x) / (FIELD_MM / 2)
    return axial, lateral, tilt


def bone_path(
    anatomy: Anatomy, view: View, axial: np.ndarray, lateral: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the length of the ray (mm) inside bone at every grid point."""
    network = trabeculae(anatomy, view.angle, len(axial), rng)
    return path_through(anatomy, axial, lateral, network)


def path_through(anatomy: Anatomy, axial: np.ndarray, lateral: np.ndarray, network: np.ndarray) -> np.ndarray:
    """Return the length of the ray (mm) inside the cortex and a trabecular network, see `trabeculae`."""
    # The cortex thins towards the joint, where the trabecular network carries the load; the medullary cavity of the shaft
    # has hardly any network.
    metaphysis = 1 / (1 + np.exp((axial - 1.6 * anatomy.flare_length_mm) / 3.0))
    shell = anatomy.cortical_mm * (1 - 0.6 * metaphysis)
    outer = chord(anatomy, axial, lateral, np.zeros_like(axial))
    inner = chord(anatomy, axial, lateral, shell)
    return outer - inner + inner * network * (0.15 + 0.85 * metaphysis)


def chord(anatomy: Anatomy, axial: np.ndarray, lateral: np.ndarray, inset: np.ndarray) -> np.ndarray:
    """Return the length of the ray (mm) inside the bone without its outer `inset` mm."""
    depth = axial - inset
    widening = np.exp(-(((axial - 3) / anatomy.flare_length_mm) ** 2))
    half_width = anatomy.shaft_mm + anatomy.flare_mm * widening - inset
    # The joint surface is round at its rim and tilted towards one side.
    rim = np.clip(1 - (depth + 0.12 * anatomy.side * lateral) / 6.0, 0, 1)
    half_width = half_width * np.sqrt(1 - rim**2)
    offset = lateral - 0.25 * anatomy.side * anatomy.flare_mm * widening
    return 2 * anatomy.depth * np.sqrt(np.maximum(half_width**2 - offset**2, 0))


def tissue_path(anatomy: Anatomy, lateral: np.ndarray) -> np.ndarray:
    """Return the length of the ray (mm) inside the limb at every grid point."""
    half_width = 0.95 * anatomy.tissue_mm
    return anatomy.tissue_mm * np.sqrt(np.maximum(1 - (lateral / half_width) ** 4, 0))


def trabeculae(anatomy: Anatomy, angle: float, grid_px: int, rng: np.random.Generator) -> np.ndarray:
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
