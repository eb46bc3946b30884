"""Outlines of regions in a folder of pictures, one an image, alone or beside a CSV file of boxes."""

from collections.abc import Container
from pathlib import Path

import numpy as np

from bonexray.base.errors import BonexrayError
from bonexray.dataset.boxes.annotation import UNREADABLE, Annotation, Images, refused
from bonexray.dataset.boxes.tabular import read_csv_boxes
from bonexray.dataset.links import is_outside
from bonexray.regions.geometry import bounding_box

SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg")
FORMATS = ("PNG", "BMP", "TIFF", "GIF", "JPEG")
ENDINGS = ("_mask", "-mask", "_label", "_seg")  # that masks add to the name of their image
TABLE, FOLDER = "boxes.csv", "masks"


def read_masks(folder: Path, images: Images, _labels: Container[str] = ()) -> dict[str, Annotation]:
    """Read a folder of masks that are called like their images; each connected part is a box.

    Args:
        folder: of the masks, which are bright on the regions.
        images: of the dataset.
    """
    from scipy import ndimage  # here, since every stage loads this module to check the settings

    found = {}
    for path in mask_files(folder):
        name = _image_of(path, folder, images)
        if images.sizes[name] == UNREADABLE:
            continue
        mask = read_mask(path, folder, images.sizes[name])
        parts, count = ndimage.label(mask, np.ones((3, 3)))  # a thin line may be connected at its corners alone
        if count:
            found[name] = Annotation([bounding_box(parts == part) for part in range(1, count + 1)], path)
    return found


def read_boxes_and_masks(folder: Path, images: Images, labels: Container[str]) -> dict[str, Annotation]:
    """Read boxes.csv of a folder, and the outlines in its folder masks/."""
    found = read_csv_boxes(folder / TABLE, images, labels)
    for name, outlined in read_masks(folder / FOLDER, images).items():
        if name not in found:
            raise refused(str(outlined.mask), f"a box of the image in {TABLE}", "none", "add it, or remove the mask")
        found[name].mask = outlined.mask
    return found


def mask_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix.casefold() in SUFFIXES)


def read_mask(path: Path, folder: Path, size: tuple[int, int]) -> np.ndarray:
    """Return a mask as bool (height, width): True above half of its brightest value.

    Args:
        path: of the picture.
        folder: that it must be in, once links are followed.
        size: height and width of its image.

    Raises:
        BonexrayError: it is a link out of the folder, no picture, or of another size.
    """
    from PIL import Image, UnidentifiedImageError  # here, as in `read_masks`

    if is_outside(folder, path):
        raise refused(str(path), "a file inside the folder of masks", "a link out of it", "copy the file there")
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if (picture.height, picture.width) != size:  # known before any pixel is decoded
                received = f"{picture.width} x {picture.height} px"
                expected = f"the size of the image, {size[1]} x {size[0]} px"
                raise refused(str(path), expected, received, "draw the mask on the image itself")
            pixels = np.asarray(picture.convert("RGB" if picture.mode in ("P", "PA") else picture.mode))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise refused(str(path), "a picture", "other or damaged bytes", "save the mask as PNG") from None
    levels = pixels if pixels.ndim == 2 else pixels[..., : 3 if pixels.shape[2] > 2 else 1].max(axis=2)
    return levels > levels.max() / 2 if levels.max() > 0 else np.zeros(size, bool)


def _image_of(path: Path, folder: Path, images: Images) -> str:
    name = path.relative_to(folder).with_suffix("").as_posix()
    ending = next((ending for ending in ENDINGS if name.casefold().endswith(ending)), "")
    if ending:
        try:
            return images.find(name[: -len(ending)], str(path))
        except BonexrayError:
            pass  # an image may be called so itself
    return images.find(name, str(path))
