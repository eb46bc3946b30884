"""Recognise files and folders that are no images of a dataset: what systems leave behind, and files about images."""

from pathlib import PurePath

_FOLDERS = {
    "__macosx": "left by a zip file of macOS",
    "@eadir": "thumbnails of a Synology disk",
    "#recycle": "a recycle bin",
    "@recycle": "a recycle bin",
    "$recycle.bin": "a recycle bin",
    "system volume information": "of Windows",
    "lost+found": "of the file system",
    "__pycache__": "of Python",
    "network trash folder": "of macOS",
    "temporary items": "of macOS",
}
_FILES = {
    "thumbs.db": "of Windows",
    "ehthumbs.db": "of Windows",
    "desktop.ini": "of Windows",
    "icon\r": "of macOS",
    "dicomdir": "an index of DICOM files, not an image",
    "readme": "not an image",
    "license": "not an image",
    "licence": "not an image",
    "checksums": "not an image",
    "md5sums": "not an image",
}
_SIDECARS = frozenset(
    [
        ".txt",
        ".md",
        ".rst",
        ".rtf",
        ".doc",
        ".docx",
        ".odt",
        ".pdf",
        ".html",
        ".htm",
        ".xml",
        ".json",
        ".jsonl",
        ".ndjson",
        ".geojson",
        ".csv",
        ".tsv",
        ".xls",
        ".xlsx",
        ".ods",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cfg",
        ".conf",
        ".log",
        ".db",
        ".sqlite",
        ".py",
        ".ipynb",
        ".r",
        ".rmd",
        ".m",
        ".mat",
        ".sh",
        ".bat",
        ".pkl",
        ".pickle",
        ".parquet",
        ".zip",
        ".gz",
        ".tar",
        ".tgz",
        ".7z",
        ".rar",
        ".md5",
        ".sha1",
        ".sha256",
        ".lnk",
        ".url",
        ".dvc",
        ".tmp",
        ".part",
        ".crdownload",
        ".bak",
        ".swp",
    ]
)
_IMAGE_ARCHIVES = (".nii.gz",)


def debris_folder(name: str) -> str | None:
    """Return why a folder is ignored, by its name; None if it is not."""
    return "hidden" if name.startswith(".") else _FOLDERS.get(name.casefold())


def debris_file(name: str) -> str | None:
    """Return why a file is ignored, by its name; None if it may be an image, with whatever suffix."""
    folded = name.casefold()
    if folded.startswith("."):
        return "hidden"
    if folded.endswith("zone.identifier"):
        return "of Windows"
    if folded.startswith("~$") or folded.endswith("~"):
        return "of an editor"
    suffix = PurePath(folded).suffix
    if suffix in _SIDECARS and not folded.endswith(_IMAGE_ARCHIVES):
        return _FILES.get(folded, f"not an image by its name ({suffix})")
    return _FILES.get(folded)
