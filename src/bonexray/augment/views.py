"""Random views of images: rotation, shift, zoom, shear and flip in a single interpolation."""

import numpy as np

from bonexray.augment.settings import Augment

EPOCH, COPY = 0, 1  # streams of random numbers: of views during training, and of copies encoded beforehand


def random_view(image: np.ndarray, settings: Augment, stream: int, number: int, row: int) -> np.ndarray:
    """Return a random view of an image, which depends on the arguments alone.

    The changes suit radiographs: a limb may be slightly rotated or off centre, and left and right are mirror images. It
    is never upside down, and its anatomy must not change.

    Args:
        image: float32 (px, px) in [0, 1].
        settings: the ranges; each value is uniform within plus and minus its range.
        stream: `EPOCH` or `COPY`.
        number: number of the epoch or the copy.
        row: row of the image in the cohort.

    Returns:
        float32 (px, px) in [0, 1]; pixels from outside the image are black.
    """
    from skimage.transform import AffineTransform, warp

    rng = np.random.default_rng([settings.seed, stream, number, row])
    turn, shear, zoom, right, down = rng.uniform(-1, 1, 5)
    mirror = -1 if settings.flip and rng.random() < 0.5 else 1
    scale, px = 1 + settings.zoom * zoom, image.shape[0]
    centre = (px - 1) / 2
    about_centre = AffineTransform(
        scale=(mirror * scale, scale),
        rotation=np.deg2rad(settings.rotation_deg * turn),
        shear=np.deg2rad(settings.shear_deg * shear),
        translation=(settings.shift * px * right, settings.shift * px * down),
    )
    to_centre, back = AffineTransform(translation=(-centre, -centre)), AffineTransform(translation=(centre, centre))
    moved = warp(image, (to_centre + about_centre + back).inverse, order=1, mode="constant", preserve_range=True)
    return moved.astype(np.float32)


def random_views(images: np.ndarray, settings: Augment, stream: int, number: int, rows: np.ndarray) -> np.ndarray:
    """Return a random view of each image, float32 (images, px, px)."""
    views = [random_view(image, settings, stream, number, int(row)) for image, row in zip(images, rows, strict=True)]
    return np.stack(views)
