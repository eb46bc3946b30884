"""Walk through the folders of a dataset: what may be an image, what is ignored and why, and where links lead."""

import fnmatch
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bonexray.base.errors import BonexrayError
from bonexray.dataset.debris import debris_file, debris_folder
from bonexray.dataset.links import linked_as_text, refused_link
from bonexray.dataset.names import escaped, listed


@dataclass(eq=False)
class Folder:
    """A folder of a dataset.

    Attributes:
        name: of the folder or of the link to it; "" for the root.
        real: path after all links, by which a folder that several links reach is known.
        parent: the folder that holds it; None for the root.
        files: names of the files that may be images, sorted.
        folders: the folders in it, sorted by name.
        images: number of files that may be images, in it and below.
    """

    name: str
    real: str
    parent: "Folder | None" = field(default=None, repr=False)
    files: list[str] = field(default_factory=list)
    folders: "list[Folder]" = field(default_factory=list, repr=False)
    images: int = 0

    @property
    def path(self) -> str:
        """Path relative to the root, with forward slashes; "" for the root."""
        return "/".join(self.parts)

    @property
    def parts(self) -> list[str]:
        """Names from the root down to this folder."""
        names, folder = [], self
        while folder.parent is not None:
            names.append(folder.name)
            folder = folder.parent
        return names[::-1]

    @property
    def carrying(self) -> "list[Folder]":
        """The folders in it that hold images, directly or below."""
        return [folder for folder in self.folders if folder.images]

    def below(self) -> "Iterator[Folder]":
        """Yield this folder and all below it."""
        stack = [self]
        while stack:
            folder = stack.pop()
            yield folder
            stack += reversed(folder.folders)

    def paths(self) -> list[str]:
        """Return the paths, relative to the root, of all files in it and below."""
        return [
            "/".join([*parts, name]) for folder in self.below() for parts in [folder.parts] for name in folder.files
        ]


class Ignored:
    """What is not read, by reason."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, kind: str, reason: str, path: str) -> None:
        """Keep a file or folder (`kind`) and the reason that it is ignored."""
        self._paths[kind, reason].append(path)

    def notes(self) -> list[str]:
        """Return one line for each reason, with the number and the first paths."""
        return [
            f"ignored {len(paths)} {kind if len(paths) == 1 else kind + 's'}, {reason}: {listed(sorted(paths), 3)}"
            for (kind, reason), paths in self._paths.items()
        ]


@dataclass
class _Link:
    """A link to a folder, which is followed when all real folders have been read."""

    parent: Folder
    name: str
    target: str

    @property
    def path(self) -> str:
        return "/".join([*self.parent.parts, self.name])

    @property
    def depth(self) -> int:
        return len(self.parent.parts) + 1


class _Walk:
    def __init__(self, root: Path, ignore: Sequence[str], ignored: Ignored, follow: bool) -> None:
        self.root, self.ignore, self.ignored, self.follow = root, ignore, ignored, follow
        self.real_root = os.path.realpath(root)
        self.seen: dict[str, Folder] = {}  # by real path
        self.moved: dict[str, str] = {}  # real path to the link that it is read through
        self.links: list[_Link] = []

    def read(self, top: Folder) -> None:
        """Fill a folder and all below it; keep links to folders for later."""
        stack = [top]
        while stack:
            folder = stack.pop()
            self.seen[folder.real] = folder
            for entry in self._entries(folder):
                if child := self._take(folder, entry):
                    folder.folders.append(child)
                    stack.append(child)

    def follow_links(self) -> None:
        while self.links:
            link = self.links.pop(0)
            if (child := self._followed(link)) is not None:
                link.parent.folders.append(child)
                link.parent.folders.sort(key=lambda folder: folder.name)

    def _entries(self, folder: Folder) -> list[os.DirEntry]:
        try:
            with os.scandir(folder.real) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise BonexrayError(
                escaped(folder.path) or str(self.root),
                expected="a folder that can be read",
                received=error.strerror or type(error).__name__,
                do="correct its permissions, or name it in dataset.ignore",
            ) from None

    def _take(self, folder: Folder, entry: os.DirEntry) -> Folder | None:
        """Add a file or keep a link; return a folder that is still to be read."""
        path = "/".join([*folder.parts, entry.name])
        is_folder = _is_folder(entry)
        reason = (debris_folder if is_folder else debris_file)(entry.name)
        if any(fnmatch.fnmatchcase(path, pattern.strip("/")) for pattern in self.ignore):
            reason = "named in dataset.ignore"
        if reason:
            self.ignored.add("folder" if is_folder else "file", reason, path)
        elif is_folder and (entry.is_symlink() or _is_junction(entry)):
            self.links.append(_Link(folder, entry.name, os.path.realpath(entry.path)))
        elif is_folder:
            return Folder(entry.name, entry.path, folder)
        else:
            self._require_no_lost_folder(folder, entry, path)
            folder.files.append(entry.name)
        return None

    def _require_no_lost_folder(self, folder: Folder, entry: os.DirEntry, path: str) -> None:
        """Refuse a file that was meant to be a link to a folder: its class or split would be missing."""
        if "." in entry.name:
            return
        if entry.is_symlink() and not Path(entry.path).exists():
            raise refused_link(escaped(path), "a link that leads nowhere", "correct or remove the link")
        if len(folder.parts) < 2 and (target := linked_as_text(Path(entry.path))):
            raise refused_link(
                escaped(path), f"a link to {escaped(target)} stored as text", "put the folder itself there"
            )

    def _followed(self, link: _Link) -> Folder | None:
        """Return the folder that a link leads to; None if it is ignored."""
        target, parent = link.target, link.parent
        if _holds(target, parent.real):
            self.ignored.add("link", "to a folder that holds it", link.path)
            return None
        if not _holds(self.real_root, target) and not self.follow:
            raise refused_link(
                escaped(link.path),
                f"a link out of it, to {escaped(target)}",
                "copy the folder there, or set dataset.links=follow",
            )
        if target in self.moved:
            raise self._read_twice(link, self.moved[target])
        if target in self.seen:
            return self._moved(link, self.seen[target])
        child = Folder(link.name, target, parent)
        self.read(child)
        self.moved[target] = link.path
        return child

    def _moved(self, link: _Link, folder: Folder) -> Folder | None:
        """Take a folder from where it is stored to where a link puts it, or ignore the link if it gives no class."""
        if link.depth > 2:
            self.ignored.add("link", "to a folder that is read already", link.path)
            return None
        if folder.parent is None or folder.parent is link.parent or len(folder.parts) < 2:
            raise self._read_twice(link, folder.path)
        self.ignored.add("folder", "read through the link to it", folder.path)
        folder.parent.folders.remove(folder)
        folder.parent, folder.name = link.parent, link.name
        self.moved[folder.real] = link.path
        return folder

    def _read_twice(self, link: _Link, place: str) -> BonexrayError:
        return refused_link(
            escaped(link.path),
            f"a link to {escaped(place)}, which would be read twice",
            "remove one of them, or name one in dataset.ignore",
        )


def walk(root: Path, ignore: Sequence[str], ignored: Ignored, *, follow: bool) -> Folder:
    """Return the folder of a dataset with all below it; each folder is read once.

    Links to folders inside the dataset are followed, after the real folders. Where a link names a class or a split, the
    folder that it leads to is read there, and not where it is stored.

    Args:
        root: folder of the dataset.
        ignore: patterns of paths, relative to the root, that are not read.
        ignored: takes what is not read.
        follow: whether links to folders outside the root are followed.

    Raises:
        BonexrayError: a folder cannot be read; a link leaves the root, leads nowhere or would give images twice.
    """
    top = Folder("", os.path.realpath(root))
    steps = _Walk(root, ignore, ignored, follow)
    steps.read(top)
    steps.follow_links()
    for folder in reversed(list(top.below())):
        folder.images = len(folder.files) + sum(child.images for child in folder.folders)
    return top


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_junction(entry: os.DirEntry) -> bool:
    return getattr(entry, "is_junction", lambda: False)()  # Python 3.12, on Windows
