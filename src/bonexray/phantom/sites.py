"""The simulated hospitals: who is examined there, and how the images are taken and shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """What differs between two hospitals; the anatomy behind a T-score does not.

    Attributes:
        prefix: first letter of the names of its patients, who are nobody else's.
        stream: added to the seed of each patient.
        shares: of patients with osteoporosis, osteopenia and normal bone; their sum is 1.
        dose: photons per pixel, relative to `phantom.photons`.
        hardness: attenuation relative to 40 keV; a higher tube voltage gives a lower one.
        scatter: scattered over primary photons behind the patient.
        blur_px: standard deviation of the detector's blur in pixels.
        exponent: of the transmission in the displayed brightness; 0.5 gives photon noise the same variance everywhere.
        window: transmissions, to that power, displayed as white and as black.
    """

    prefix: str
    stream: tuple[int, ...]
    shares: tuple[float, float, float]
    dose: float
    hardness: float
    scatter: float
    blur_px: float
    exponent: float
    window: tuple[float, float]


SCATTER_MM = 6.0  # standard deviation of the blur that turns primary into scattered photons
# `a` is balanced and has the sharper images. `b` has the shares of American adults from 50 (Wright et al., J Bone Miner Res
# 2014), a higher tube voltage and no grid, so a third of a photon is scattered for each primary one, as behind 4 cm of
# tissue (Barnes, RadioGraphics 1991), half the dose, and the blur of a storage phosphor beside that of a flat panel
# (Samei and Flynn, Med Phys 2002).
SITES = {
    "a": Site("p", (), (1 / 3, 1 / 3, 1 / 3), 1.0, 1.0, 0.0, 0.45, 0.5, (0.20, 0.75)),
    "b": Site("q", (1,), (0.10, 0.44, 0.46), 0.5, 0.9, 0.33, 0.80, 0.4, (0.35, 0.90)),
}
