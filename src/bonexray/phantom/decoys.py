"""Lines that are no fracture: a growth plate, a channel of a vessel, and an edge that lies over the bone.

They are drawn in the same way for every grade, so that no grade can be told by a decoy. Epiphyseal scars persist in most
adult radii (Davies et al., Int J Legal Med 130, 2016); nutrient channels run obliquely through one cortex, with a smooth
edge; the edge of a fold or a splint goes on beyond the bone, where the eye also sees Mach bands (Lane et al., Radiology
121, 1976). Widths and depths are choices that make them about as strong as a hairline.
"""

import math
from dataclasses import dataclass

import numpy as np

from bonexray.phantom.anatomy import FIELD_MM

PLATE_AXIAL_MM, PLATE_MM, PLATE_DEPTH = (6.0, 10.0), (0.8, 1.4), (-0.5, 0.6)  # a depth below 0 is a dense scar
VESSEL_AXIAL_MM, VESSEL_MM, VESSEL_LENGTH_MM = (18.0, 34.0), (0.7, 1.1), (6.0, 11.0)
VESSEL_DEPTH, VESSEL_ANGLE_DEG = (0.35, 0.6), (62.0, 80.0)  # to the plane across the shaft: steeper than any fracture
EDGE_MM, EDGE_FROM_CENTRE_MM = (2.0, 5.0), 18.0  # thickness of what ends there; distance of the edge from the centre


@dataclass(frozen=True)
class Decoys:
    """The lines of a patient that are no fracture.

    Attributes:
        plate_axial_mm: place of the growth plate on the axis.
        plate_mm: its width.
        plate_depth: share of bone that it lacks, or that it adds if negative.
        plate_bow_mm: how far it bows towards the joint at the cortex.
        vessel_axial_mm: middle of the vessel's channel.
        vessel_lateral_mm: the same across the shaft.
        vessel_mm: its width.
        vessel_length_mm: its length.
        vessel_depth: share of bone that it lacks.
        vessel_angle_deg: to the plane across the shaft.
    """

    plate_axial_mm: float
    plate_mm: float
    plate_depth: float
    plate_bow_mm: float
    vessel_axial_mm: float
    vessel_lateral_mm: float
    vessel_mm: float
    vessel_length_mm: float
    vessel_depth: float
    vessel_angle_deg: float


def draw_decoys(rng: np.random.Generator) -> Decoys:
    """Draw a patient's decoys."""
    return Decoys(
        plate_axial_mm=rng.uniform(*PLATE_AXIAL_MM),
        plate_mm=rng.uniform(*PLATE_MM),
        plate_depth=rng.uniform(*PLATE_DEPTH),
        plate_bow_mm=rng.uniform(0.5, 2.0),
        vessel_axial_mm=rng.uniform(*VESSEL_AXIAL_MM),
        vessel_lateral_mm=rng.uniform(-5.0, 5.0),
        vessel_mm=rng.uniform(*VESSEL_MM),
        vessel_length_mm=rng.uniform(*VESSEL_LENGTH_MM),
        vessel_depth=rng.uniform(*VESSEL_DEPTH),
        vessel_angle_deg=float(rng.choice([-1.0, 1.0])) * rng.uniform(*VESSEL_ANGLE_DEG),
    )


def kept_share(decoys: Decoys, axial: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Return the share of bone that growth plate and vessel leave at every grid point; above 1 in a dense scar."""
    plate = axial - decoys.plate_axial_mm + decoys.plate_bow_mm * (lateral / 12) ** 2
    angle = math.radians(decoys.vessel_angle_deg)
    down, across = axial - decoys.vessel_axial_mm, lateral - decoys.vessel_lateral_mm
    along = math.cos(angle) * across + math.sin(angle) * down
    aside = math.cos(angle) * down - math.sin(angle) * across
    tapered = np.clip(1 - (2 * along / decoys.vessel_length_mm) ** 2, 0, 1)
    lacking = decoys.plate_depth * _bell(plate, decoys.plate_mm)
    return (1 - lacking) * (1 - decoys.vessel_depth * tapered * _bell(aside, decoys.vessel_mm))


def overlapping_edge(grid_px: int, rng: np.random.Generator) -> np.ndarray:
    """Draw what lies over the limb on one side of a straight edge, as a length of tissue (mm) at every grid point.

    Args:
        grid_px: number of samples along the side of the field.
        rng: source of three numbers.
    """
    centred = ((np.arange(grid_px) + 0.5) / grid_px - 0.5) * FIELD_MM
    y, x = np.meshgrid(centred, centred, indexing="ij")
    angle, away, thickness = rng.uniform(0, 2 * math.pi), rng.uniform(-1, 1), rng.uniform(*EDGE_MM)
    distance = math.cos(angle) * x + math.sin(angle) * y - away * EDGE_FROM_CENTRE_MM
    return thickness * np.clip(0.5 + distance * grid_px / FIELD_MM, 0, 1)


def _bell(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((2 * distance / width) ** 2))
