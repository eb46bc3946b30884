"""What five published systems reported, for a table beside this study's results; none of them gives an interval."""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A system and the accuracies that it reported.

    Attributes:
        name: what it is.
        data: what it was measured on.
        n: test images, None where that is not known here.
        accuracies: network and the share of right answers; the network is a registry name where there is one.
        caveat: what a reader has to know about these numbers.
    """

    name: str
    data: str
    n: int | None
    accuracies: tuple[tuple[str, float], ...]
    caveat: str


SOURCES = (
    Source(
        "Osteoporosis, twelve networks",
        "3 classes, 180 test images each",
        540,
        (
            ("inception_v3", 0.73),
            ("vgg16", 0.72),
            ("mobilenet_v2", 0.70),
            ("vgg19", 0.67),
            ("densenet121", 0.67),
            ("resnet50", 0.63),
        ),
        "The set was enlarged by augmentation before it was split, so views of one picture can stand on both sides. The "
        "text also claims 89 % for a custom network that has no row in the tables.",
    ),
    Source(
        "Knee osteoporosis, four networks",
        "239 knees, 70 validation images",
        70,
        (("the best of four", 0.657),),
        "Equal to the share of the majority class. Four models share one checkpoint file that is never read again.",
    ),
    Source(
        "Fracture or not, a configurable classifier",
        "2 % of a data set, 2 to 3 epochs",
        None,
        (("vgg16", 0.63), ("resnet50", 0.53), ("inception_v3", 0.42)),
        "Enlarged by augmentation before it was split; the order of the classes was reversed when metrics were computed.",
    ),
    Source(
        "BM3D and a fine-tuned ResNet50",
        "3 020 images, 3 classes",
        None,
        (("resnet50", 0.902),),
        "The size of its test set is not known here. PSNR is reported to rise from 21.3 to 31.7 dB and SSIM from 0.65 to 0.91.",
    ),
    Source(
        "Fractures in six body parts, with image filters",
        "6 classes, 83 test images",
        83,
        (("resnet18", 0.90), ("vgg16", 0.89), ("efficientnet_b0", 0.89), ("densenet121", 0.86), ("compact_cnn", 0.50)),
        "The custom network (here the compact CNN) was never updated: its optimiser held another network's weights.",
    ),
)


def reported() -> Iterator[tuple[Source, str, float, tuple[float, float] | None]]:
    """Each reported accuracy with its source and the 95 % interval its number of images implies, where that is known."""
    for source in SOURCES:
        for network, accuracy in source.accuracies:
            yield source, network, accuracy, wilson(accuracy, source.n) if source.n else None


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share of n independent images (Wilson 1927), 95 % by default."""
    centre, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
