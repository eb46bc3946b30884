"""A simulated fracture: its grade, its line through the bone, and the bone that it leaves.

Lengths are in mm; `axial` runs along the shaft from the joint, `lateral` across it. The grades are those that readers
name: no fracture; a hairline that crosses part of the bone and opens hardly at all; a complete line without
displacement; fragments that are displaced by 2 mm or more, the step at which surgeons speak of displacement (Knirk and
Jupiter, J Bone Joint Surg Am 68, 1986). Lines are transverse or oblique, as in the classification of the AO and the OTA
(Meinberg et al., J Orthop Trauma 32, 2018). Width, opening and reach are choices, not measurements: they make hairlines
hard and displaced fractures easy to see at the dose of the cohort.
"""

import math
from dataclasses import dataclass

import numpy as np

from bonexray.phantom.anatomy import FIELD_MM, Anatomy, chord, path_through

GRADES = ("none", "hairline", "complete", "displaced")
SHARES = (0.4, 0.2, 0.2, 0.2)  # of the patients
AXIAL_MM, ANGLE_DEG = (11.0, 36.0), (-35.0, 35.0)  # place on the axis; angle to the plane across the shaft
# By grade: width of the cleft in mm, share of the ray within it that is open, share of the bone's width that it crosses.
GAP_MM = {"hairline": (0.6, 0.9), "complete": (0.8, 1.3), "displaced": (0.8, 1.6)}
OPENING = {"hairline": (0.6, 0.8), "complete": (0.8, 0.95), "displaced": (1.0, 1.0)}
REACH = {"hairline": (0.55, 0.85), "complete": (1.0, 1.0), "displaced": (1.0, 1.0)}
SHIFT_MM, SHORTENING_MM, TURN_DEG = (2.0, 5.0), (-1.0, 2.0), (3.0, 10.0)  # of the lower fragment, only if displaced
WAVES, WAVE_MM, RAGGED_MM = 3, (3.0, 9.0), 0.35  # of the ragged line: waves, their lengths, and their amplitude


@dataclass(frozen=True)
class Fracture:
    """A fracture line, and the displacement of the fragment below it.

    Attributes:
        grade: one of `GRADES` except "none".
        axial_mm: distance of the line from the joint, on the axis.
        angle_deg: between the line and the plane across the shaft.
        gap_mm: width of the cleft.
        opening: share of the ray inside the cleft that holds no bone, from 0 to 1.
        reach: share of the bone's width that the line crosses, from 0 to 1.
        side: +1 or -1, the cortex that the line starts from.
        shift_mm: displacement of the lower fragment across the shaft.
        shortening_mm: displacement towards the joint; above 0 the fragments overlap.
        turn_deg: angulation of the lower fragment.
        waves: amplitude (mm), length (mm) and phase of each wave of the ragged line.
    """

    grade: str
    axial_mm: float
    angle_deg: float
    gap_mm: float
    opening: float
    reach: float
    side: float
    shift_mm: float
    shortening_mm: float
    turn_deg: float
    waves: tuple[tuple[float, float, float], ...]


def draw_fracture(rng: np.random.Generator) -> Fracture | None:
    """Draw a patient's fracture; None for the share of patients without one.

    Every patient takes as many numbers from `rng`, whatever the grade.
    """
    grade = GRADES[int(np.searchsorted(np.cumsum(SHARES), rng.random(), side="right").clip(0, len(GRADES) - 1))]
    place, angle, gap, opening, reach, shift, shortening, turn = rng.random(8)
    side, direction, turning = rng.choice([-1.0, 1.0], 3)
    waves = [(rng.normal(0, RAGGED_MM), rng.uniform(*WAVE_MM), rng.uniform(0, 2 * math.pi)) for _ in range(WAVES)]
    if grade == "none":
        return None
    displaced = float(grade == "displaced")
    return Fracture(
        grade=grade,
        axial_mm=_between(AXIAL_MM, place),
        angle_deg=_between(ANGLE_DEG, angle),
        gap_mm=_between(GAP_MM[grade], gap),
        opening=_between(OPENING[grade], opening),
        reach=_between(REACH[grade], reach),
        side=float(side),
        shift_mm=displaced * float(direction) * _between(SHIFT_MM, shift),
        shortening_mm=displaced * _between(SHORTENING_MM, shortening),
        turn_deg=displaced * float(turning) * _between(TURN_DEG, turn),
        waves=tuple((float(a), float(length), float(phase)) for a, length, phase in waves),
    )


def broken_path(
    fracture: Fracture | None, anatomy: Anatomy, axial: np.ndarray, lateral: np.ndarray, network: np.ndarray
) -> np.ndarray:
    """Return the length of the ray (mm) inside the bone with its fracture at every grid point.

    The bone above the line stays. The bone below it is moved as a rigid body, so displaced fragments overlap where both
    are in the beam, and leave a gap where neither is.

    Args:
        fracture: None for a whole bone.
        anatomy: of the patient.
        axial: coordinate along the shaft, float (grid, grid), like the two below.
        lateral: coordinate across it.
        network: see `trabeculae`.
    """
    whole = path_through(anatomy, axial, lateral, network)
    if fracture is None:
        return whole
    step, distance = _step_mm(axial), distance_to_line(fracture, axial, lateral)
    if not fracture.shift_mm:
        cleft = np.clip(0.5 + (fracture.gap_mm / 2 - np.abs(distance)) / step, 0, 1)
        return whole * (1 - fracture.opening * cleft * _reached(fracture, anatomy, lateral, step))
    moved = moved_back(fracture, axial, lateral)
    upper = np.clip(0.5 - (distance + fracture.gap_mm / 2) / step, 0, 1)
    lower = np.clip(0.5 + (distance_to_line(fracture, *moved) - fracture.gap_mm / 2) / step, 0, 1)
    return whole * upper + path_through(anatomy, *moved, network) * lower


def line_region(
    fracture: Fracture, anatomy: Anatomy, axial: np.ndarray, lateral: np.ndarray, margin_mm: float
) -> np.ndarray:
    """Return the part of the field that the line takes: the cleft and, between displaced fragments, what lies between.

    Args:
        fracture: the fracture.
        anatomy: of the patient.
        axial: coordinate along the shaft, float (grid, grid).
        lateral: coordinate across it.
        margin_mm: added on both sides of the cleft.

    Returns:
        bool (grid, grid).
    """
    moved = moved_back(fracture, axial, lateral)
    distances = distance_to_line(fracture, axial, lateral), distance_to_line(fracture, *moved)
    half = fracture.gap_mm / 2 + margin_mm
    between = (np.maximum(*distances) > -half) & (np.minimum(*distances) < half)
    flat = np.zeros_like(axial)
    bone = (chord(anatomy, axial, lateral, flat) > 0) | (chord(anatomy, *moved, flat) > 0)
    return between & bone & (_reached(fracture, anatomy, lateral, _step_mm(axial)) > 0.5)


def distance_to_line(fracture: Fracture, axial: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Return the signed distance (mm) from the middle of the line at every grid point; negative towards the joint."""
    angle = math.radians(fracture.angle_deg)
    along = math.cos(angle) * lateral + math.sin(angle) * (axial - fracture.axial_mm)
    across = math.cos(angle) * (axial - fracture.axial_mm) - math.sin(angle) * lateral
    ragged = sum(height * np.sin(2 * math.pi * along / length + phase) for height, length, phase in fracture.waves)
    return across - ragged


def moved_back(fracture: Fracture, axial: np.ndarray, lateral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the points of the lower fragment lay before its displacement, as axial and lateral coordinates."""
    down, across = axial - fracture.axial_mm + fracture.shortening_mm, lateral - fracture.shift_mm
    turn = math.radians(fracture.turn_deg)
    cos, sin = math.cos(turn), math.sin(turn)
    return cos * down + sin * across + fracture.axial_mm, cos * across - sin * down


def _reached(fracture: Fracture, anatomy: Anatomy, lateral: np.ndarray, step: float) -> np.ndarray:
    """Return 1 where the line has come from its cortex, 0 beyond its end, and shares at the end itself."""
    if fracture.reach == 1:
        return np.ones_like(lateral)
    end = (2 * fracture.reach - 1) * anatomy.shaft_mm
    return np.clip(0.5 + (end - fracture.side * lateral) / step, 0, 1)


def _step_mm(axial: np.ndarray) -> float:
    return FIELD_MM / len(axial)


def _between(ends: tuple[float, float], share: float) -> float:
    return float(ends[0] + (ends[1] - ends[0]) * share)
