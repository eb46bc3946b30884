"""The stages of dvc.yaml as calls of their scripts, expanded for the settings of one study."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from bonexray.resources import resource_path
from bonexray.study import Settings

Call = tuple[str, ...]  # a stage, and its model or backbone if it runs once for each: ("train", "vgg16")
PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class _Node:
    call: Call
    deps: frozenset[PurePosixPath]
    outs: frozenset[PurePosixPath]

    def needs(self, other: "_Node") -> bool:
        """Return whether a dependency is an output of the other node, or lies in one, or contains one."""
        return not (
            other.outs.isdisjoint(self.deps | _folders(self.deps)) and self.deps.isdisjoint(_folders(other.outs))
        )


def stage_calls(settings: Settings) -> list[Call]:
    """Return every call of a study: each after the calls whose outputs it reads, otherwise in the order of dvc.yaml.

    Args:
        settings: the settings that `foreach` and `${...}` in dvc.yaml refer to.
    """
    waiting = list(
        _nodes(YAML(typ="safe").load(resource_path("dvc.yaml"))["stages"], settings.model_dump(by_alias=True))
    )
    calls = []
    while waiting:
        node = next(node for node in waiting if not any(node.needs(other) for other in waiting if other is not node))
        waiting.remove(node)
        calls.append(node.call)
    return calls


def _nodes(stages: Mapping[str, Mapping], params: Mapping[str, object]) -> Iterator[_Node]:
    for stage in stages.values():
        if "foreach" not in stage:
            yield _node(stage, params)
            continue
        for key, item in _value(stage["foreach"], params).items():
            yield _node(stage["do"], {**params, "key": key, "item": item})


def _node(stage: Mapping, params: Mapping[str, object]) -> _Node:
    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = [next(iter(out)) if isinstance(out, Mapping) else out for out in outs]  # {path: {cache: false}}
    return _Node(_call(_text(stage["cmd"], params)), _paths(stage["deps"], params), _paths(paths, params))


@cache
def _folders(paths: frozenset[PurePosixPath]) -> frozenset[PurePosixPath]:
    return frozenset(folder for path in paths for folder in path.parents)


def _call(command: str) -> Call:
    """Return the stage and its arguments from `PYTHONPATH=src python stages/train.py vgg16`."""
    words = shlex.split(command)
    script = next(number for number, word in enumerate(words) if word.endswith(".py"))
    return Path(words[script]).stem, *words[script + 1 :]


def _paths(texts: list[str], params: Mapping[str, object]) -> frozenset[PurePosixPath]:
    return frozenset(PurePosixPath(_text(text, params)) for text in texts)


def _text(text: str, params: Mapping[str, object]) -> str:
    return PLACEHOLDER.sub(lambda match: str(_value(match[0], params)), text)


def _value(placeholder: str, params: Mapping[str, object]) -> object:
    """Return the setting that a placeholder names, such as `${item.inputs[-1]}`."""
    value: object = params
    for part in re.findall(r"-?\w+", PLACEHOLDER.fullmatch(placeholder)[1]):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
