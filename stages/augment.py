"""Draw what augmentation does to a training image of each class."""

from bonexray.config import Settings
from bonexray.data.arrays import IMAGES, ArrayFile
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.outputs import whole_folder
from bonexray.reporting.figures.galleries import image_gallery
from bonexray.stage import run_stage
from bonexray.training.augment import EPOCH, random_view

VIEWS = 6


def main(settings: Settings) -> None:
    """Write reports/augmentation/views.png: the first training image of each class, and its first views."""
    images, manifest = ArrayFile(IMAGES), read_manifest()
    train = manifest[manifest["split"] == "train"]
    gallery = {}
    for name in read_classes():
        row = int(train.index[train["label"] == name][0])
        views = [random_view(images[row], settings.augment, EPOCH, epoch, row) for epoch in range(VIEWS)]
        gallery[name] = [images[row], *views]
    with whole_folder("reports/augmentation") as folder:
        title = f"A training image of each class (left), and what a network sees of it in its first {VIEWS} epochs"
        image_gallery(gallery, title, folder / "views.png")


if __name__ == "__main__":
    run_stage(main)
