"""Figures as they stand inside the report: smaller, the same bytes each time, with a caption and words for the blind."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bonexray.figures.captions import words_of

OTHER_WORDS = {  # of figures that are drawn elsewhere
    "pairs.png": (
        "The worst pairs of images that are one picture, with likeness, labels and given splits.",
        "Pairs of radiographs side by side, each pair titled with its likeness, labels and splits.",
    ),
    "views.png": (
        "What augmentation does to a training image of each class.",
        "Rows of radiographs: an image of each class, then the same image moved about at random.",
    ),
}
WIDEST_PX = 1280  # more than the page's own width on a screen
SMALL = 30_000  # bytes; below that another encoding is not worth its time
COLOURS = 64  # of a drawing; more of them look no different on its flat areas
QUALITY = 72  # of photographs, of 100


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Attributes:
        source: a data: address.
        width: in pixels.
        height: in pixels.
        caption: shown below it.
        alt: what it shows, in words.
    """

    source: str
    width: int
    height: int
    caption: str
    alt: str


def picture(path: Path, model: str = "", title: str = "") -> Picture | None:
    """A figure ready to stand in the page, or None where the study has none of that name.

    Args:
        path: of the PNG.
        model: whose figure it is, which begins the file's name; none for a figure of the study.
        title: how text calls that model.
    """
    if not path.exists():
        return None
    with Image.open(path) as opened:
        image = _flat(opened)
    if image.width > WIDEST_PX:
        image = image.resize((WIDEST_PX, round(image.height * WIDEST_PX / image.width)), Image.Resampling.LANCZOS)
    data = _drawing(image)
    if len(data) > SMALL:
        data = min(data, _photograph(image), key=len)
    pattern = f"{{m}}{path.name.removeprefix(model)}" if model else path.name
    caption, alt = OTHER_WORDS.get(pattern) or words_of(pattern, title)
    return Picture(f"data:image/webp;base64,{base64.b64encode(data).decode()}", *image.size, caption, alt)


def model_pictures(folder: Path, names: Iterable[str], model: str, title: str) -> list[Picture]:
    """Those of a model's figures that the study has, in the order of the names."""
    return [found for name in names if (found := picture(folder / f"{model}_{name}.png", model, title))]


def _flat(image: Image.Image) -> Image.Image:
    """On white paper, without an alpha channel."""
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")


def _drawing(image: Image.Image) -> bytes:
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    return _webp(few, lossless=True, quality=40, method=2)


def _photograph(image: Image.Image) -> bytes:
    return _webp(image, quality=QUALITY, method=3)


def _webp(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    return stream.getvalue()
