"""Figures for the report: compressed, byte for byte reproducible, with a caption and an alternative text."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bonexray.figures.captions import words_of

OTHER_CAPTIONS = {  # of figures that other packages draw
    "pairs.png": (
        "The pairs of near-duplicate images most in need of review, with similarity, labels and given splits.",
        "Pairs of radiographs side by side, each titled with its similarity, labels and splits.",
    ),
    "views.png": (
        "A training image of each class and augmented copies of it.",
        "Rows of radiographs: an image of each class, then the same image under random transformations.",
    ),
}
MAX_WIDTH_PX = 1280  # wider than the page on a screen
SMALL = 100_000  # bytes; below this, a second encoding is not worth its time
COLOURS = 64  # of a drawing; more look no different on its flat areas
QUALITY = 72  # of photographs, out of 100


@dataclass(frozen=True)
class Picture:
    """A figure embedded in the page.

    Attributes:
        source: `data:` URL.
        width: width in pixels.
        height: height in pixels.
        caption: text below the figure.
        alt: alternative text.
    """

    source: str
    width: int
    height: int
    caption: str
    alt: str


def picture(path: Path, model: str = "", title: str = "") -> Picture | None:
    """Return a figure to embed in the page; None if the study lacks it.

    Args:
        path: path of the PNG.
        model: name of the model, which starts the file name; empty for a figure of the study.
        title: title of the model.
    """
    if not path.exists():
        return None
    with Image.open(path) as opened:
        image = _flat(opened)
    if image.width > MAX_WIDTH_PX:
        image = image.resize((MAX_WIDTH_PX, round(image.height * MAX_WIDTH_PX / image.width)), Image.Resampling.LANCZOS)
    data = _drawing(image)
    if len(data) > SMALL:
        data = min(data, _photograph(image), key=len)
    pattern = f"{{m}}{path.name.removeprefix(model)}" if model else path.name
    caption, alt = OTHER_CAPTIONS.get(pattern) or words_of(pattern, title)
    return Picture(f"data:image/webp;base64,{base64.b64encode(data).decode()}", *image.size, caption, alt)


def model_pictures(folder: Path, names: Iterable[str], model: str, title: str) -> list[Picture]:
    """Return the figures of a model that the study has, in the order of the names."""
    return [figure for name in names if (figure := picture(folder / f"{model}_{name}.png", model, title))]


def _flat(image: Image.Image) -> Image.Image:
    """Return the image on a white background, without alpha channel."""
    background = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")


def _drawing(image: Image.Image) -> bytes:
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    return _webp(few, lossless=True, quality=40, method=2)


def _photograph(image: Image.Image) -> bytes:
    return _webp(image, quality=QUALITY, method=2)


def _webp(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", **options)
    return stream.getvalue()
