"""Boxes in one JSON file of the COCO format (Lin et al., Microsoft COCO, ECCV 2014)."""

import json
from collections import defaultdict
from collections.abc import Container
from pathlib import Path

from bonexray.dataset.boxes.annotation import Annotation, Images, checked, numbers, read_text, refused, require_size


def read_coco(path: Path, images: Images, labels: Container[str]) -> dict[str, Annotation]:
    """Read `images`, `categories` and the `bbox` (left, top, width, height) of `annotations`.

    Args:
        path: of the file.
        images: of the dataset.
        labels: names of the categories whose boxes count; empty for all.
    """
    content = _parsed(path)
    where = str(path)
    listed = {_key(item, "id", where): item for item in _list(content, "images", where)}
    names = {_key(item, "id", where): str(item.get("name")) for item in _list(content, "categories", where)}
    paths: dict[object, str] = {}
    found: dict[str, Annotation] = defaultdict(Annotation)
    for item in _list(content, "annotations", where):
        place = f"{where}, annotation {item.get('id')}"
        if labels and names.get(item.get("category_id")) not in labels:
            continue
        key = _key(item, "image_id", place)
        if key not in listed:
            raise refused(place, "the id of an image in the file", f"image_id {key}", "correct or remove it")
        if key not in paths:
            paths[key] = _image(listed[key], images, place)
        values = numbers(item.get("bbox") if isinstance(item.get("bbox"), list) else [], place)
        if len(values) != 4:
            raise refused(place, "a bbox of four numbers", f"{len(values)}", "correct or remove it")
        left, top, width, height = values
        edges = (left, top, left + width, top + height)
        found[paths[key]].boxes.append(checked(edges, images.sizes[paths[key]], place))
    return dict(found)


def _image(item: dict, images: Images, where: str) -> str:
    name = images.find(str(item.get("file_name", "")), where)
    if "height" in item and "width" in item:
        height, width = numbers([item["height"], item["width"]], where)
        require_size((height, width), images.sizes[name], where)
    return name


def _parsed(path: Path) -> dict:
    try:
        content = json.loads(read_text(path, path.parent))
    except (json.JSONDecodeError, RecursionError) as error:
        received = "JSON nested too deep" if isinstance(error, RecursionError) else str(error)
        raise refused(str(path), "JSON", received, "export the annotations again") from None
    if not isinstance(content, dict):
        raise refused(str(path), "an object with images and annotations", type(content).__name__, "export as COCO")
    return content


def _list(content: dict, key: str, where: str) -> list[dict]:
    items = content.get(key, [] if key == "categories" else None)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise refused(where, f"a list of objects {key!r}", type(items).__name__, "export as COCO")
    return items


def _key(item: dict, key: str, where: str) -> object:
    value = item.get(key)
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise refused(where, f"a number or text as {key}", repr(value), "export as COCO")
    return value
