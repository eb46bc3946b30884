"""Draw augmented views of a training image of each class."""

from bonexray.augment.settings import Augment
from bonexray.augment.views import EPOCH, random_view
from bonexray.base.config import StageSettings
from bonexray.base.files import atomic_folder
from bonexray.data.arrays import ArrayFile
from bonexray.data.manifest import read_classes, read_manifest
from bonexray.data.paths import IMAGES
from bonexray.figures.images.galleries import image_gallery
from bonexray.stage import run_stage

VIEWS = 6


class Settings(StageSettings):
    """What the stage reads of params.yaml."""

    augment: Augment


def main(settings: Settings) -> None:
    """Write reports/augmentation/views.png: the first training image of each class with its views of the first epochs."""
    images, manifest = ArrayFile(IMAGES), read_manifest()
    train = manifest[manifest["split"] == "train"]
    gallery = {}
    for name in read_classes():
        row = int(train.index[train["label"] == name][0])
        views = [random_view(images[row], settings.augment, EPOCH, epoch, row) for epoch in range(VIEWS)]
        gallery[name] = [images[row], *views]
    with atomic_folder("reports/augmentation") as folder:
        title = f"A training image of each class (left), and what a network sees of it in its first {VIEWS} epochs"
        image_gallery(gallery, title, folder / "views.png")


if __name__ == "__main__":
    run_stage(main, Settings)
