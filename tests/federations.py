"""Sites with planted classes, for the tests of training across hospitals."""

import h5py
import numpy as np
import pandas as pd

from bonexray.data.features_card import write_features_card
from bonexray.data.manifest import write_manifest
from bonexray.data.paths import FEATURES, features_folder, weights_path
from bonexray.federate.site import Site

CLASSES = ["healthy", "ill", "worse"]
RECIPE = {
    "model": "resnet18",
    "classes": CLASSES,
    "head": {"standardize": True, "output": "softmax", "class_weights": "balanced"},
}
WIDTH = 12
MEANS = np.random.default_rng(3).normal(size=(len(CLASSES), WIDTH))


def site_of(images: int, seed: int, noise: float = 2.0) -> Site:
    """A site whose features tell the classes, faintly; two thirds of its images are for training."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(CLASSES), images, p=(0.5, 0.3, 0.2))
    features = 5 + 3 * (MEANS[labels] + noise * rng.normal(size=(images, WIDTH)))
    rows = pd.DataFrame(
        {
            "id": [f"{seed:08x}{number:08x}" for number in range(images)],
            "path": [f"clinic/patient-{seed}-{number}.png" for number in range(images)],
            "group": [f"patient-{seed}-{number}" for number in range(images)],
            "label": np.array(CLASSES)[labels],
            "split": [("train", "train", "val", "train", "train", "test")[number % 6] for number in range(images)],
        }
    )
    return Site(RECIPE, rows, features, labels)


def joined(sites: list[Site]) -> Site:
    """All images of several sites in one place."""
    rows = pd.concat([site.rows for site in sites], ignore_index=True)
    features, labels = (np.concatenate([getattr(site, name) for site in sites]) for name in ("features", "labels"))
    return Site(RECIPE, rows, features, labels)


def lay_out(site: Site) -> None:
    """Write the images of a site below the working directory, as the stages `split` and `features` leave them."""
    write_manifest(site.rows.assign(fold="", sha256="0", remarks=""), CLASSES)
    folder = features_folder("resnet18")
    folder.mkdir(parents=True)
    np.save(folder / FEATURES, site.features.astype(np.float32))
    path = weights_path("resnet18")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["layers/conv/vars/0"] = np.arange(4.0)
    card = {"backbone": "resnet18", "weights_sha256": "0" * 64, "img_px": 32}
    write_features_card(folder, card)
