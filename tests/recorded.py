"""The files of a study with a record, a chosen model and its features, for the tests of subgroups and the record."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bonexray.base.files import write_json
from bonexray.base.hashing import sha256_of
from bonexray.data.folds import Run
from bonexray.data.manifest import COLUMNS, image_id, write_manifest
from bonexray.data.paths import EVALUATED, FEATURES, HEADLINE, MODEL_CARD, PREDICTIONS, features_folder
from bonexray.data.predictions import write_predictions
from bonexray.data.record import write_record

CLASSES = ["normal", "osteopenia", "osteoporosis"]
MODEL = "mobilenet_v2"


@dataclass
class Recorded:
    """Patients with two images each; a test changes the record, the answers or the features before it writes them.

    Attributes:
        manifest: one row for each image.
        labels: int (images,).
        record: columns of the record.
        logits: float (images, classes), of the model.
        features: float (images, width), of its backbone.
        runs: its trainings; each gives the same answers.
    """

    manifest: pd.DataFrame
    labels: np.ndarray
    record: pd.DataFrame
    logits: np.ndarray
    features: np.ndarray
    runs: list[Run] = field(default_factory=lambda: [Run()])

    def answer(self, right: np.ndarray, seed: int = 5) -> None:
        """Let the model be right where it is said, and name another class elsewhere."""
        rng = np.random.default_rng(seed)
        wrong = (self.labels + rng.integers(1, 3, len(self.labels))) % 3
        self.logits = rng.normal(0, 0.3, (len(self.labels), 3))
        self.logits[np.arange(len(self.labels)), np.where(right, self.labels, wrong)] += 2

    def write(self) -> None:
        """Write the files into the working directory."""
        ids = self.manifest["id"]
        write_manifest(self.manifest, CLASSES)
        write_record(self.record.assign(id=ids)[["id", *self.record]])
        powers = np.exp(self.logits)
        folder = EVALUATED / MODEL
        folder.mkdir(parents=True, exist_ok=True)
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        write_predictions(folder / PREDICTIONS, self.manifest, dict.fromkeys(self.runs, probabilities), CLASSES)
        features = features_folder(MODEL) / FEATURES
        features.parent.mkdir(parents=True, exist_ok=True)
        np.save(features, self.features.astype(np.float32))
        card = {
            "model": MODEL,
            "mode": "frozen",
            "train": {"class_weights": "none"},
            "inputs_sha256": {features.as_posix(): sha256_of(features)},
        }
        write_json(folder / MODEL_CARD, card)
        by_fold = {str(run.fold): MODEL for run in self.runs}
        write_json(HEADLINE, {"model": MODEL, **({"chosen_by_fold": by_fold} if len(by_fold) > 1 else {})})
        scores = {"val_balanced_accuracy": 0.7, "val_log_loss": 0.8, "val_collapsed": 0}
        write_json("metrics/models.json", {MODEL: scores})


def recorded(patients: int = 300, seed: int = 0) -> Recorded:
    """Return a study whose record says nothing of the class, and whose model is right for seven in ten images."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, patients)
    part = np.array(["train", "val", "test", "test"], dtype=object)[np.arange(patients) % 4]
    of_patient = {
        "sex": np.array(["F", "M"], dtype=object)[rng.integers(0, 2, patients)],
        "age": rng.integers(30, 90, patients).astype(str).astype(object),
        "scanner": np.array(["DX 1", "DX 2"], dtype=object)[rng.integers(0, 2, patients)],
    }
    owner = np.repeat(np.arange(patients), 2)
    paths = [f"{CLASSES[label[p]]}/p{p:03d}_{n % 2}.png" for n, p in enumerate(owner)]
    columns = {
        "id": [image_id(path) for path in paths],
        "path": paths,
        "label": [CLASSES[label[p]] for p in owner],
        "group": [f"p{p:03d}" for p in owner],
        "split": part[owner],
        "fold": "",
        "sha256": [image_id(f"{path}!") for path in paths],
        "remarks": "",
    }
    labels = label[owner]
    study = Recorded(
        pd.DataFrame(columns)[COLUMNS],
        labels,
        pd.DataFrame({name: values[owner] for name, values in of_patient.items()}),
        np.zeros((len(owner), 3)),
        np.eye(3)[labels] + rng.normal(0, 1, (len(owner), 3)),
    )
    study.features = np.concatenate([study.features, rng.normal(0, 1, (len(owner), 20))], axis=1)
    study.answer(rng.random(len(owner)) < 0.7)
    return study
