"""Simulate a cohort of radiographs with fractures, whose lines are known to the pixel."""

from dataclasses import dataclass

import numpy as np

from bonexray.phantom.anatomy import (
    FIELD_MM,
    Anatomy,
    View,
    bone_frame,
    draw_anatomy,
    draw_view,
    tissue_path,
    trabeculae,
)
from bonexray.phantom.decoys import Decoys, draw_decoys, kept_share, overlapping_edge
from bonexray.phantom.diagnosis import stated_label
from bonexray.phantom.fracture import GRADES, Fracture, broken_path, draw_fracture, line_region
from bonexray.phantom.patient_record import PatientRecord, draw_record
from bonexray.phantom.simulation import detected, display, oversampling, signal_behind
from bonexray.phantom.sites import SITES

STREAM = 100  # added to the seed of each patient, who is nobody of the first cohort
BOX_MARGIN_MM = 1.0  # readers draw a box around a line, not along it


@dataclass(frozen=True)
class SimulatedFracture:
    """A simulated image of a patient with or without a fracture.

    Attributes:
        patient: "p0000", "p0001", ..., with the prefix of the site.
        view: 0 or 1.
        label: one of `GRADES`, as stated with the image.
        true_label: that of the fracture, which differs from the stated one only with label noise.
        fracture: None if there is none.
        t_score: of the bone, in standard deviations of young adults.
        record: age, sex and body mass index.
        clean: float32 (img_px, img_px) in [0, 1], with bright bone.
        noisy: the same image with noise, in the same display window.
        mask: bool (img_px, img_px), True on the fracture line.
    """

    patient: str
    view: int
    label: str
    true_label: str
    fracture: Fracture | None
    t_score: float
    record: PatientRecord
    clean: np.ndarray
    noisy: np.ndarray
    mask: np.ndarray

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """Return left, top, right and bottom of the line with a margin, in pixels from the image's corner."""
        return box_around(self.mask)


def simulate_fractures(
    number: int, img_px: int, photons: float, readout_sigma: float, seed: int, site: str, label_noise: float
) -> list[SimulatedFracture]:
    """Return the one or two radiographs of the patient with this number, from 0; arguments as in `simulate`."""
    place = SITES[site]
    # Separate generators, so that neither image size, label noise nor record changes the fracture.
    seeds = np.random.SeedSequence([seed, number, STREAM, *place.stream]).spawn(7)
    patient_rng, *view_rngs, fracture_rng, decoy_rng, label_rng, record_rng = map(np.random.default_rng, seeds)
    anatomy, fracture = draw_anatomy(place.shares, patient_rng), draw_fracture(fracture_rng)
    decoys, record = draw_decoys(decoy_rng), draw_record(anatomy.t_score, record_rng)
    true_label = fracture.grade if fracture else GRADES[0]
    label = stated_label(true_label, label_noise, label_rng, GRADES)
    images, mean_count = [], photons * place.dose
    for view in range(patient_rng.integers(1, 3)):
        rng = view_rngs[view]
        signal, mask = _exposed(anatomy, fracture, decoys, draw_view(rng), site, img_px, rng)
        counts = detected(signal, mean_count, readout_sigma, rng)
        images.append(
            SimulatedFracture(
                patient=f"{place.prefix}{number:04d}",
                view=view,
                label=label,
                true_label=true_label,
                fracture=fracture,
                t_score=anatomy.t_score,
                record=record,
                clean=display(signal, place),
                noisy=display(counts / mean_count, place),
                mask=mask,
            )
        )
    return images


def box_around(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """Return the box of a mask with a margin, as left, top, right and bottom in pixels; None if the mask is empty."""
    if not mask.any():
        return None
    side, margin = len(mask), BOX_MARGIN_MM * len(mask) / FIELD_MM
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    low, high = (max(0.0, float(part[0]) - margin) for part in (columns, rows))
    right, bottom = (min(float(side), float(part[-1]) + 1 + margin) for part in (columns, rows))
    return low, high, right, bottom


def _exposed(
    anatomy: Anatomy,
    fracture: Fracture | None,
    decoys: Decoys,
    view: View,
    site: str,
    img_px: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal (img_px, img_px) of an exposure, and the mask of the fracture line in it."""
    samples = oversampling(img_px)
    axial, lateral, tilt = bone_frame(view, img_px * samples)
    network = trabeculae(anatomy, view.angle, len(axial), rng)
    bone_mm = broken_path(fracture, anatomy, axial, lateral, network) * kept_share(decoys, axial, lateral)
    tissue_mm = tissue_path(anatomy, lateral) + overlapping_edge(len(axial), rng)
    signal = signal_behind(bone_mm, tissue_mm, tilt, view, SITES[site], img_px)
    if fracture is None:
        return signal, np.zeros((img_px, img_px), bool)
    region = line_region(fracture, anatomy, axial, lateral, FIELD_MM / img_px / 2)
    share = region.reshape(img_px, samples, img_px, samples).mean(axis=(1, 3))
    return signal, share >= min(0.5, share.max())
