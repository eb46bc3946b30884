"""Simulate the built-in cohort: noisy radiographs, their clean originals, and the true values behind each label."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder
from bonexray.compute import Compute, parallel_map
from bonexray.figures.images.galleries import image_gallery
from bonexray.images.reading import write_png16
from bonexray.phantom.diagnosis import CLASSES
from bonexray.phantom.settings import COHORT, FOLDERS, Phantom
from bonexray.phantom.simulation import SimulatedRadiograph, simulate_patient
from bonexray.stage import run_stage

SAMPLES = 5  # of each class in the figure


class Settings(StageSettings):
    """The sections of params.yaml that the stage reads."""

    phantom: Phantom
    compute: Compute


def main(settings: Settings, part: str) -> None:
    """Write a folder with noisy/ and clean/, one folder for each class in both, truth.csv and classes.png.

    Args:
        settings: of the stage.
        part: a key of `FOLDERS`.
    """
    options = settings.phantom if part == COHORT else at_other_site(settings.phantom)
    arguments = (
        options.img_px,
        options.photons,
        options.readout_sigma,
        options.seed,
        options.site,
        options.label_noise,
    )
    samples: dict[str, list] = {f"{name}\n{kind}": [] for name in CLASSES for kind in ("clean", "noisy")}
    truth = []
    with atomic_folder(FOLDERS[part]) as folder:
        work = [(number, *arguments) for number in range(options.patients)]
        for patient in parallel_map(simulate_patient, work, "simulating", settings.compute, threads=True):
            truth += [write_radiograph(folder, image) for image in patient]
            if len(samples[f"{patient[0].label}\nclean"]) < SAMPLES:
                for kind in ("clean", "noisy"):
                    samples[f"{patient[0].label}\n{kind}"].append(getattr(patient[0], kind))
        pd.DataFrame(truth).to_csv(folder / "truth.csv", index=False, lineterminator="\n")
        image_gallery(
            {name: images for name, images in samples.items() if images},
            "The simulated cohort",
            folder / "classes.png",
        )


def at_other_site(options: Phantom) -> Phantom:
    """Return the settings of the other hospital's cohort."""
    return options.model_copy(
        update={"site": "b" if options.site == "a" else "a", "patients": options.other_site_patients}
    )


def write_radiograph(folder: Path, image: SimulatedRadiograph) -> dict[str, object]:
    """Write an image and its clean original; return its row of truth.csv."""
    path = Path(image.label, f"{image.patient}_{image.view}.png")
    for kind, pixels in (("noisy", image.noisy), ("clean", image.clean)):
        (folder / kind / image.label).mkdir(parents=True, exist_ok=True)
        write_png16(folder / kind / path, pixels)
    return {
        "path": path.as_posix(),
        "patient": image.patient,
        "label": image.label,
        "true_label": image.true_label,
        "t_score": f"{image.t_score:.4f}",
        "volume_fraction": f"{image.volume_fraction:.4f}",
        "cortical_mm": f"{image.cortical_mm:.4f}",
        **asdict(image.record),
    }


if __name__ == "__main__":
    run_stage(main, Settings)
