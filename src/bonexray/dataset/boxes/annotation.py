"""What an annotation says of an image, and the checks that every format shares."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bonexray.base.errors import BonexrayError
from bonexray.dataset.links import is_outside
from bonexray.dataset.names import escaped, tidied
from bonexray.regions.geometry import Box

SETTING = "dataset.boxes"
ROUNDING_PX = 1.0  # by which an edge may lie outside, since programs round it
MOST_BYTES = 512 * 2**20  # of a file of annotations
UNREADABLE = (0, 0)  # the size of an image that is quarantined; what is said of it is not checked and not used


@dataclass
class Annotation:
    """The regions of an image.

    Attributes:
        boxes: in pixels.
        mask: file with the outline of all regions; None if there are only boxes.
    """

    boxes: list[Box] = field(default_factory=list)
    mask: Path | None = None


class Images:
    """The images of a dataset, found by the names that annotations use.

    Args:
        sizes: path relative to the root to height and width in pixels, or to `UNREADABLE`.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        self.sizes = sizes
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in sizes:
            pure = PurePosixPath(path)
            for name in {pure.name, pure.stem, pure.with_suffix("").as_posix()} - {path}:
                self._by_name[name].append(path)

    def find(self, name: str, where: str) -> str:
        """Return the path of an image: of this path, or the only one of this file name, with or without its suffix.

        Args:
            name: as the annotation writes it.
            where: the file, and line if it has some, for the message.

        Raises:
            BonexrayError: there is none or more than one, or the name leads out of the dataset.
        """
        name = tidied(name).replace("\\", "/").removeprefix("./")
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or ":" in name[:2]:
            raise refused(where, "the path of an image below dataset.root", name, "write it relative to dataset.root")
        if name in self.sizes:
            return name
        found = self._by_name.get(name) or self._by_name.get(pure.name) or self._by_name.get(pure.stem) or []
        if len(found) == 1:
            return found[0]
        received = f"{name}, the name of {len(found)} images" if found else f"{name}, no image of the dataset"
        raise refused(where, "the name of one image", received, "correct the name, or write its path below the root")


def checked(edges: Iterable[float], size: tuple[int, int], where: str) -> Box:
    """Return a box, moved to the edge of the image where it lies outside by rounding.

    Args:
        edges: left, top, right and bottom in pixels.
        size: height and width of the image.
        where: the file, and line if it has some, for the message.

    Raises:
        BonexrayError: an edge is not finite, the box has no area, or it is outside the image.
    """
    box, (height, width) = Box(*edges), size
    if size == UNREADABLE:
        return box
    sound = all(map(math.isfinite, box)) and box.right > box.left and box.bottom > box.top
    if not sound:
        raise refused(where, "a box with a width and a height above 0", _shown(box), "correct or remove the box")
    within = min(box.left, box.top, width - box.right, height - box.bottom) >= -ROUNDING_PX
    clipped = Box(max(box.left, 0.0), max(box.top, 0.0), min(box.right, width), min(box.bottom, height))
    if not within or clipped.right <= clipped.left or clipped.bottom <= clipped.top:
        raise refused(where, f"a box inside the image of {width} x {height} px", _shown(box), "correct the box")
    return clipped


def require_size(stated: tuple[float, float], size: tuple[int, int], where: str) -> None:
    """Refuse an annotation that was made on an image of another size; both are height and width."""
    if size not in (tuple(stated), UNREADABLE):
        received = f"{stated[1]:g} x {stated[0]:g} px"
        raise refused(where, f"the size of the image, {size[1]} x {size[0]} px", received, "annotate the image itself")


def read_text(path: Path, root: Path) -> str:
    """Return the text of a file of annotations.

    Raises:
        BonexrayError: it is no UTF-8 text, is too large, or is a link out of the folder `root`.
    """
    where = escaped(str(path))
    if is_outside(root, path):
        raise refused(where, "a file inside the folder of annotations", "a link out of it", "copy the file there")
    if path.stat().st_size > MOST_BYTES:
        raise refused(where, f"at most {MOST_BYTES >> 20} MB", f"{path.stat().st_size >> 20} MB", "divide the file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise refused(where, "UTF-8 text", "other bytes", "save it as UTF-8") from None


def numbers(values: Iterable[object], where: str) -> list[float]:
    """Return values as numbers, or refuse them."""
    values = list(values)
    try:
        if any(isinstance(value, bool) for value in values):
            raise ValueError
        return [float(value) for value in values]
    except (TypeError, ValueError):
        raise refused(where, "numbers", escaped(repr(values)), "correct the annotation") from None


def refused(where: str, expected: str, received: str, do: str) -> BonexrayError:
    """Return the error for an annotation."""
    return BonexrayError(f"{SETTING}: {where}", expected=expected, received=escaped(received), do=do)


def _shown(box: Box) -> str:
    return "left {:g}, top {:g}, right {:g}, bottom {:g}".format(*box)
