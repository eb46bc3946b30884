"""The libraries that read images, kept from writing what they find odd."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pydicom.config
from PIL import Image

_PYDICOM = logging.getLogger("pydicom")
_LOCK, _INSIDE = threading.Lock(), []


@contextmanager
def quiet() -> Iterator[None]:
    """No warning and no log of pydicom's, which quote a file's values, a patient's ID among them; none of large images.

    Files are read by several threads at once, while warnings and pydicom's settings are the whole process's. So the first
    thread in silences them, and the last one out puts back what was there.
    """
    with _LOCK:
        _INSIDE.append(_INSIDE[0] if _INSIDE else _silence())
    try:
        yield
    finally:
        with _LOCK:
            restore = _INSIDE.pop()
            if not _INSIDE:
                restore()


def _silence() -> Callable[[], None]:
    settings, restored = pydicom.config.settings, ExitStack()
    restored.enter_context(warnings.catch_warnings())
    restored.callback(setattr, settings, "reading_validation_mode", settings.reading_validation_mode)
    restored.callback(setattr, _PYDICOM, "disabled", _PYDICOM.disabled)
    warnings.filterwarnings("ignore", module=r"pydicom|bonexray\.images\.dicom")
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is the bound
    settings.reading_validation_mode, _PYDICOM.disabled = pydicom.config.IGNORE, True
    return restored.close
