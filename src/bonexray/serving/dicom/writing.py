"""Files of DICOM answers, one for each X-ray."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pydicom.dataset import Dataset

from bonexray.base.errors import BonexrayError
from bonexray.base.files import atomic_file
from bonexray.images.dicom_file import is_dicom
from bonexray.images.radiograph import UnreadableImage
from bonexray.images.silence import quiet
from bonexray.serving.dicom.source import read_source
from bonexray.serving.files import Column, FreeNames
from bonexray.serving.predictor import Answer, Predictor
from bonexray.serving.verdict import verdict

Build = Callable[[Dataset, Predictor, Answer], Dataset]


def require_dicom(option: str, paths: Sequence[Path]) -> None:
    """Refuse files that have no patient and study to which an answer could be added.

    Args:
        option: such as `--dicom-sr`.
        paths: of X-rays.

    Raises:
        BonexrayError: highdicom is not installed, or a file is not DICOM.
    """
    if find_spec("highdicom") is None:
        raise BonexrayError(
            option, expected="highdicom", received="it is not installed", do="pip install 'bonexray[sr]'"
        )
    if others := [path for path in paths if path.is_file() and not is_dicom(path)]:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        do = f"leave out what is not DICOM, or leave out {option}"
        raise BonexrayError(option, expected="DICOM files", received=f"{others[0]}{more}", do=do)


def require_apart(option: str, folder: Path, inputs: Sequence[Path]) -> None:
    """Refuse a folder for answers among the inputs, where the next run would take the answers for X-rays.

    Args:
        option: such as `--dicom-sr`.
        folder: for the answers.
        inputs: files and folders that the user named.

    Raises:
        BonexrayError: the folder is one of the inputs or lies in one.
    """
    for path in inputs:
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            do = "name another folder, or the next run would take the answers for X-rays"
            raise BonexrayError(option, expected=f"a folder outside {path}", received=folder, do=do)


def reports(predictor: Predictor, folder: Path) -> Column:
    """Return a column of structured reports, written into a folder."""
    return _column(predictor, FreeNames(folder, ".sr.dcm"), _report)


def captures(predictor: Predictor, folder: Path) -> Column:
    """Return a column of secondary captures, written into a folder; answers need a heat map."""
    return _column(predictor, FreeNames(folder, ".heatmap.dcm"), _capture)


def _column(predictor: Predictor, names: FreeNames, build: Build) -> Column:
    def write(path: Path, answer: Answer) -> Path:
        source = read_source(path)
        content = io.BytesIO()
        with _silent():
            try:
                build(source, predictor, answer).save_as(content, enforce_file_format=True)
            except MemoryError:
                raise
            except Exception as error:  # its message may quote the patient
                raise UnreadableImage(f"highdicom cannot answer this file ({type(error).__name__})") from None
        target = names.of(path)
        with atomic_file(target) as partial:
            partial.write_bytes(content.getvalue())
        return target

    return write


def _report(source: Dataset, predictor: Predictor, answer: Answer) -> Dataset:
    from bonexray.serving.dicom.identity import author_of
    from bonexray.serving.dicom.report import structured_report

    said = verdict(predictor.classes, predictor.facts, answer)
    return structured_report(source, author_of(predictor.card, predictor.facts), predictor.classes, said)


def _capture(source: Dataset, predictor: Predictor, answer: Answer) -> Dataset:
    from bonexray.serving.dicom.capture import secondary_capture
    from bonexray.serving.dicom.identity import author_of

    said = verdict(predictor.classes, predictor.facts, answer)
    return secondary_capture(source, author_of(predictor.card, predictor.facts), said, answer)


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress warnings and logs of highdicom too, which quote the patient's name.

    Inside `quiet`, so that threads that read files meanwhile restore the same settings.
    """
    log = logging.getLogger("highdicom")
    level = log.level
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            log.setLevel(level)
