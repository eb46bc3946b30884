"""Synthetic predictions of a model over folds and repeats."""

import numpy as np
import pandas as pd

from bonexray.data.folds import Run, split_in

UNSORTED = ["osteoporosis", "normal", "osteopenia"]  # a class map that is not in alphabetical order


def one_hot(answers: list[int], classes: int) -> np.ndarray:
    """Return float (images, classes): 1 for the predicted class, 0 for the others."""
    return np.eye(classes)[answers]


def predictions_of_trainings(folds: int, repeats: int, seed: int = 7) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows and probabilities of a model that is right more often than not."""
    rng, images = np.random.default_rng(seed), 12 * folds
    manifest = pd.DataFrame(
        {
            "id": [f"{i:016x}" for i in range(images)],
            "path": [f"{i}.png" for i in range(images)],
            "group": [f"p{i // 2}" for i in range(images)],
            "label": np.array(UNSORTED)[np.arange(images) // 2 // folds % 3],
            "fold": [str(i // 2 % folds + 1) for i in range(images)],
            "sha256": "0",
        }
    )
    manifest["split"] = split_in(manifest, 1)
    truth = one_hot([UNSORTED.index(label) for label in manifest["label"]], 3)
    answers = {
        Run(repeat, fold): 0.5 * rng.dirichlet(np.ones(3), images)
        + 0.5 * np.where(rng.random((images, 1)) < 0.7, truth, 1 / 3)
        for repeat in range(1, repeats + 1)
        for fold in range(1, folds + 1)
    }
    tables = [manifest.assign(repeat=run.repeat, fold=run.fold, split=split_in(manifest, run.fold)) for run in answers]
    return pd.concat(tables, ignore_index=True), np.concatenate(list(answers.values()))
