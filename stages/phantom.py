"""Simulate a built-in cohort: noisy radiographs, their clean originals, and the true values behind each label."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder
from bonexray.compute import Compute, parallel_map
from bonexray.figures.images.galleries import image_gallery
from bonexray.images.reading import write_png16
from bonexray.phantom.diagnosis import CLASSES
from bonexray.phantom.fracture import GRADES
from bonexray.phantom.fracture_files import facts_of_line, write_boxes, write_mask
from bonexray.phantom.fracture_simulation import SimulatedFracture, simulate_fractures
from bonexray.phantom.settings import COHORT, FOLDERS, FRACTURE, Phantom
from bonexray.phantom.simulation import SimulatedRadiograph, simulate_patient
from bonexray.stage import run_stage

SAMPLES = 5  # of each class in the figure


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    phantom: Phantom
    compute: Compute


def main(settings: Settings, part: str) -> None:
    """Write a folder with noisy/ and clean/, one folder for each class in both, truth.csv and classes.png.

    The cohort of fractures has boxes.csv and masks/ in regions/ too.

    Args:
        settings: of the stage.
        part: a key of `FOLDERS`.
    """
    options = settings.phantom if part in (COHORT, FRACTURE) else at_other_site(settings.phantom)
    arguments = (
        options.img_px,
        options.photons,
        options.readout_sigma,
        options.seed,
        options.site,
        options.label_noise,
    )
    work = [(number, *arguments) for number in range(options.patients)]
    simulate = simulate_fractures if part == FRACTURE else simulate_patient
    with atomic_folder(FOLDERS[part]) as folder:
        patients = parallel_map(simulate, work, "simulating", settings.compute, threads=True)
        if part == FRACTURE:
            write_fractures(folder, patients)
        else:
            write_cohort(folder, patients)


def at_other_site(options: Phantom) -> Phantom:
    """Return the settings of the other hospital's cohort."""
    return options.model_copy(
        update={"site": "b" if options.site == "a" else "a", "patients": options.other_site_patients}
    )


def write_cohort(folder: Path, patients: Iterable[Sequence[SimulatedRadiograph]]) -> None:
    """Write the radiographs of patients with more or less bone."""
    samples, truth = Samples(CLASSES), []
    for patient in patients:
        truth += [write_radiograph(folder, image) for image in patient]
        samples.add(patient[0])
    write_table(truth, folder / "truth.csv")
    samples.draw("The simulated cohort", folder)


def write_fractures(folder: Path, patients: Iterable[Sequence[SimulatedFracture]]) -> None:
    """Write the radiographs of patients with and without a fracture, and where its line is."""
    samples, truth, boxes = Samples(GRADES), [], []
    for patient in patients:
        for image in patient:
            path = write_pixels(folder, image)
            truth.append({"path": path, **facts_of_line(image)})
            if image.box:
                write_mask(folder, path, image.mask)
                boxes.append((path, image.box))
        samples.add(patient[0])
    write_table(truth, folder / "truth.csv")
    write_boxes(folder, boxes)
    samples.draw("The simulated fractures", folder)


class Samples:
    """The first images of each class, for a figure.

    Args:
        classes: their names, in the order of the figure.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._images: dict[str, list] = {f"{name}\n{kind}": [] for name in classes for kind in ("clean", "noisy")}

    def add(self, image: SimulatedRadiograph | SimulatedFracture) -> None:
        """Keep an image if fewer than `SAMPLES` of its class are kept."""
        if len(self._images[f"{image.label}\nclean"]) < SAMPLES:
            for kind in ("clean", "noisy"):
                self._images[f"{image.label}\n{kind}"].append(getattr(image, kind))

    def draw(self, title: str, folder: Path) -> None:
        """Write classes.png to a folder."""
        image_gallery({name: images for name, images in self._images.items() if images}, title, folder / "classes.png")


def write_radiograph(folder: Path, image: SimulatedRadiograph) -> dict[str, object]:
    """Write an image and its clean original; return its row of truth.csv."""
    return {
        "path": write_pixels(folder, image),
        "patient": image.patient,
        "label": image.label,
        "true_label": image.true_label,
        "t_score": f"{image.t_score:.4f}",
        "volume_fraction": f"{image.volume_fraction:.4f}",
        "cortical_mm": f"{image.cortical_mm:.4f}",
        **asdict(image.record),
    }


def write_pixels(folder: Path, image: SimulatedRadiograph | SimulatedFracture) -> str:
    """Write an image and its clean original; return its path below both folders."""
    path = Path(image.label, f"{image.patient}_{image.view}.png")
    for kind, pixels in (("noisy", image.noisy), ("clean", image.clean)):
        (folder / kind / image.label).mkdir(parents=True, exist_ok=True)
        write_png16(folder / kind / path, pixels)
    return path.as_posix()


def write_table(rows: Sequence[dict[str, object]], path: Path) -> None:
    """Write rows as CSV."""
    pd.DataFrame(rows).to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    run_stage(main, Settings)
