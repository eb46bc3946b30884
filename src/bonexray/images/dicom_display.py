"""Turn the stored values of a DICOM file into displayed ones: modality, then window, then display.

The steps follow DICOM Part 4, Annex N. A malformed element is passed over, with a remark, because the pixels can be
used without it. Remarks quote no value of the file.
"""

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from bonexray.images.dicom_pixels import stored_bits

DISPLAY = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)
MEASURES = (  # those of numbers
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)
_DEEP_BITS = 16  # images of more bits rarely use all of their range
_LEAST_CONTRAST = 1 / 65_535  # of displayed values; the stages of a study keep 16 bits


def displayed(raw: np.ndarray, header: Dataset, malformed: set[str]) -> tuple[np.ndarray, list[str]]:
    """Return the displayed values of a gray image, and remarks on what was malformed.

    Args:
        raw: decoded values (height, width), with all bits.
        header: the elements of `DISPLAY`, and those on bits and photometric interpretation.
        malformed: names of elements whose value cannot be read; they are not in the header.

    Returns:
        float64 (height, width) in [0, 1], 0 for black, and the remarks.
    """
    remarks: list[str] = []
    stored = stored_bits(raw, header)
    padding = _padding(raw, stored, header)
    seen = ~padding if padding.any() and not padding.all() else np.ones_like(padding)
    values, ends = _modality(stored, seen, header, malformed, remarks)
    pixels = _contrast(values, ends, seen, header, malformed, remarks)
    if _is_inverted(header, remarks):
        pixels = 1 - pixels
    pixels[padding] = 0
    return pixels, remarks


def _modality(
    stored: np.ndarray, seen: np.ndarray, header: Dataset, malformed: set[str], remarks: list[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Return rescaled values as float64, and the values of black and white without a window."""
    first, last = _full_range(stored, seen, header, remarks)
    if sequence := header.get("ModalityLUTSequence"):
        try:
            values, top = _looked_up(stored, sequence[0], header)
            if np.ptp(values[seen]) > 0:
                return values, (0.0, top)
            malformed.add("ModalityLUTSequence")
        except Exception:
            malformed.add("ModalityLUTSequence")
    elif "RescaleSlope" in header and "RescaleIntercept" in header:
        slope, intercept = (numbers(header[name].value)[0] for name in ("RescaleSlope", "RescaleIntercept"))
        with np.errstate(all="ignore"):
            low, high = (float(end) * slope + intercept for end in (first, last))
        if slope and np.isfinite(high - low) and high != low:
            return stored * slope + intercept, (min(low, high), max(low, high))
        malformed.add("RescaleSlope")
    if malformed & {"ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"}:
        remarks.append("the rescaling or modality lookup table is malformed; stored values without a window instead")
        for name in ("VOILUTSequence", "WindowCenter", "WindowWidth"):
            header.pop(name, None)  # they apply to rescaled values
            malformed.discard(name)
    return stored.astype(np.float64), (first, last)


def _contrast(
    values: np.ndarray,
    ends: tuple[float, float],
    seen: np.ndarray,
    header: Dataset,
    malformed: set[str],
    remarks: list[str],
) -> np.ndarray:
    """Return float64 in [0, 1]: values in the first lookup table or window that shows something, else in their range."""
    for pixels in _views(values, header):
        if pixels is not None and np.isfinite(pixels[seen]).all() and np.ptp(pixels[seen]) >= _LEAST_CONTRAST:
            return np.clip(pixels, 0, 1)
        malformed.add("WindowWidth")
    if malformed & {"VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"}:
        remarks.append("the window or its lookup table is malformed or shows nothing; the full range instead")
    first, last = ends
    with np.errstate(all="ignore"):
        pixels = (values - first) / (last - first)
    return np.clip(np.nan_to_num(pixels, nan=0.0), 0, 1)


def _views(values: np.ndarray, header: Dataset) -> Iterator[np.ndarray | None]:
    """Yield values as each lookup table, or else each window, shows them; None for one that is malformed."""
    for table in header.get("VOILUTSequence") or ():
        try:
            shown, top = _looked_up(values, table, header)
            yield shown / top
        except Exception:
            yield None
    if "WindowCenter" in header and "WindowWidth" in header:
        function = header.get("VOILUTFunction", "LINEAR")
        windows = (numbers(header[name].value) for name in ("WindowCenter", "WindowWidth"))
        for centre, width in zip_longest(*windows, fillvalue=float("nan")):
            yield _windowed(values, centre, width, function)


def _windowed(values: np.ndarray, centre: float, width: float, function: object) -> np.ndarray | None:
    """Return values in a window of DICOM Part 3, C.11.2.1.2 and C.11.2.1.3; None for a window that is not valid."""
    if not np.isfinite([centre, width]).all() or width <= 0:
        return None
    with np.errstate(over="ignore"):
        if function == "LINEAR" and width > 1:
            return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
        if function == "LINEAR" and width == 1:
            return (values > centre - 0.5).astype(np.float64)
        if function == "LINEAR_EXACT":
            return np.clip((values - centre) / width + 0.5, 0, 1)
        if function == "SIGMOID":
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
    return None


def _full_range(stored: np.ndarray, seen: np.ndarray, header: Dataset, remarks: list[str]) -> tuple[float, float]:
    """Return the smallest and the largest value of the stored bits, or of the pixels if these are deep or real numbers."""
    if stored.dtype.kind == "f" or header.BitsStored > _DEEP_BITS:
        remarks.append(f"more than {_DEEP_BITS} bits; without a window, from the smallest to the largest value")
        return float(stored[seen].min()), float(stored[seen].max())
    return _bit_range(header)


def _bit_range(header: Dataset) -> tuple[int, int]:
    half = 2 ** (header.BitsStored - 1)
    return (-half, half - 1) if header.PixelRepresentation else (0, 2 * half - 1)


def _looked_up(values: np.ndarray, table: Dataset, header: Dataset) -> tuple[np.ndarray, float]:
    """Return values mapped by a lookup table, and the largest value of its bits.

    pydicom's function overflows on the entries of an 8-bit table.
    """
    entries, first, bits = table.LUTDescriptor
    entries, data = entries or 2**16, table.LUTData
    if isinstance(data, bytes):
        order = "<" if header.original_encoding[1] else ">"
        data = np.frombuffer(data, np.uint8 if len(data) == entries else f"{order}u2")
    index = np.clip(values - first, 0, entries - 1).astype(np.int64)
    if bits < 1:
        raise ValueError("a table of no bits")
    return np.asarray(data, dtype=np.float64)[index], 2.0**bits - 1


def _padding(raw: np.ndarray, stored: np.ndarray, header: Dataset) -> np.ndarray:
    """Return bool (height, width), where pixels are padding or not finite; its value may be written signed or unsigned."""
    if raw.dtype.kind == "f":
        return ~np.isfinite(raw)
    if "PixelPaddingValue" not in header:
        return np.zeros(raw.shape, dtype=bool)
    ends = [int(header.get(name, header.PixelPaddingValue)) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    low, high = sorted(_wrapped(end, raw.dtype.itemsize * 8, raw.dtype.kind == "i") for end in ends)
    first, last = _bit_range(header)
    values = stored if first <= low and high <= last else raw  # padding may use bits that pixels do not
    return (values >= low) & (values <= high)


def _wrapped(value: int, bits: int, signed: bool) -> int:
    """Return an integer as its lowest `bits` read signed or unsigned."""
    value = int(value) & (2**bits - 1)
    return value - 2**bits if signed and value >> (bits - 1) else value


def _is_inverted(header: Dataset, remarks: list[str]) -> bool:
    """Return whether 0 is white: in MONOCHROME1, or by a presentation that says so."""
    if header.PhotometricInterpretation == "MONOCHROME1":
        return True
    if header.get("PresentationLUTShape") != "INVERSE":
        return False
    remarks.append("MONOCHROME2 with an inverse presentation; 0 is shown white")
    return True


def numbers(value: object) -> list[float]:
    """Return the numbers of an element of one or several.

    Raises:
        ValueError: one of them is no number.
    """
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    return [float("nan") if number in (None, "") else float(number) for number in values]
