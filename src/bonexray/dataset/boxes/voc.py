"""Boxes in XML files of the Pascal VOC format, one file an image (Everingham et al., IJCV 88, 2010)."""

from collections.abc import Container
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from bonexray.dataset.boxes.annotation import Annotation, Images, checked, numbers, read_text, refused, require_size


class _ForbiddenDeclaration(Exception):
    """A document type, which could define entities that grow without bound or read other files."""


def read_voc(folder: Path, images: Images, labels: Container[str]) -> dict[str, Annotation]:
    """Read the `bndbox` of each `object`; the image is `filename`, or else has the name of the XML file.

    Args:
        folder: of the XML files.
        images: of the dataset.
        labels: names of the objects whose boxes count; empty for all.
    """
    found = {}
    for path in sorted(folder.rglob("*.xml")):
        where, root = str(path), parsed(read_text(path, folder), str(path))
        stated = (root.findtext("filename") or "").strip()
        name = images.find(stated or path.relative_to(folder).with_suffix("").as_posix(), where)
        if root.find("size") is not None:
            height, width = numbers([root.findtext("size/height"), root.findtext("size/width")], where)
            require_size((height, width), images.sizes[name], where)
        boxes = []
        for number, item in enumerate(root.iter("object"), 1):
            if labels and (item.findtext("name") or "").strip() not in labels:
                continue
            place = f"{where}, object {number}"
            values = numbers([item.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")], place)
            boxes.append(checked(values, images.sizes[name], place))
        if boxes:
            found.setdefault(name, Annotation()).boxes.extend(boxes)
    return found


def parsed(text: str, where: str) -> Element:
    """Return the root element of an XML document; a document type, and with it every entity, is refused."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _forbid
    try:
        parser.Parse(text, True)
        return builder.close()
    except _ForbiddenDeclaration:
        raise refused(where, "XML without a document type", "a DOCTYPE", "remove the declaration") from None
    except expat.ExpatError as error:
        raise refused(where, "XML", str(error), "export the annotations again") from None


def _forbid(*_: object) -> None:
    raise _ForbiddenDeclaration
