"""Silence the libraries that read images."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pydicom.config
from PIL import Image

_PYDICOM, _TIFFFILE = logging.getLogger("pydicom"), logging.getLogger("tifffile")
_LOCK, _ACTIVE = threading.Lock(), []


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings and logs of pydicom, Pillow and tifffile, which quote values such as a patient's ID, or paths.

    Several threads read files, but warnings and pydicom's settings belong to the process: the first thread to enter
    silences them, and the last one to leave restores them.
    """
    with _LOCK:
        _ACTIVE.append(_ACTIVE[0] if _ACTIVE else _silence())
    try:
        yield
    finally:
        with _LOCK:
            restore = _ACTIVE.pop()
            if not _ACTIVE:
                restore()


def _silence() -> Callable[[], None]:
    settings, previous = pydicom.config.settings, ExitStack()
    previous.enter_context(warnings.catch_warnings())
    previous.callback(setattr, settings, "reading_validation_mode", settings.reading_validation_mode)
    previous.callback(setattr, _PYDICOM, "disabled", _PYDICOM.disabled)
    previous.callback(setattr, _TIFFFILE, "propagate", _TIFFFILE.propagate)
    warnings.filterwarnings("ignore", module=r"pydicom|bonexray\.images\.dicom|PIL\.TiffImagePlugin")
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is the limit
    settings.reading_validation_mode, _PYDICOM.disabled = pydicom.config.IGNORE, True
    _TIFFFILE.propagate = False
    return previous.close
