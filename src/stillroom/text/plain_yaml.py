"""YAML 1.2 core, as plain values with the line each one stands on: what a person's configuration is read from.

PyYAML reads YAML 1.1, where `no` is false, `1e-3` is text, `010` is eight and `12:30` is 750. Here a scalar is null,
true, false, a decimal integer, a finite decimal float or text, and nothing else; a tag, a duplicate key and a value
that holds itself are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from stillroom.base.errors import UsageError

Path = tuple[str | int, ...]
"""Where a value lies: keys and list positions from the top."""

_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)", list("-+0123456789")),
    "float": (r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+0123456789.")),
}
_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 100_000


class YamlError(ValueError):
    """Text that is not YAML as it is read here. `line` and `column` count from 1; 0 where the place is not known."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Document:
    value: Any
    """Made of dict (str keys), list, str, int, float, bool and None."""
    lines: Mapping[Path, int]
    """The line of every value, counted from 1."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


for _name, (_pattern, _first) in _CORE.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


def read_yaml(text: str) -> Document:
    """Read one YAML document. Raises YamlError, with the place."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        lines: dict[Path, int] = {}
        return Document(None if node is None else _value(node, (), lines, set()), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(problem, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow; PyYAML gives its position only in words
        raise YamlError(str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise YamlError("values are nested too deeply") from error


def read_yaml_file(path: FilePath, refusal: type[UsageError]) -> Document:
    """The same of a file, in UTF-8. Raises `refusal`, naming the file and the place in it; and OSError."""
    try:
        return read_yaml(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise refusal(f"{path} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8.") from error
    except YamlError as error:
        place = f", line {error.line}, column {error.column}" if error.line else ""
        raise refusal(f"{path}{place}: {error.problem}.", "Mend the YAML there.") from error


def write_yaml(value: Any) -> str:
    """The same values as text that `read_yaml` reads back as they were."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def _value(node: yaml.Node, path: Path, lines: dict[Path, int], around: set[int]) -> Any:
    """The plain value of a node. `around`: the nodes that it lies in, to see one that holds itself through an alias."""
    lines[path] = node.start_mark.line + 1
    if len(lines) > _MOST_VALUES:  # aliases of aliases write a thousand million values in ten lines
        raise _at(node, f"more than {_MOST_VALUES} values")
    if id(node) in around:
        raise _at(node, "this value holds itself")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    around.add(id(node))
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        value: Any = [_value(item, (*path, index), lines, around) for index, item in enumerate(node.value)]
    elif isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        value = {}
        for key_node, item in node.value:
            key = _key(key_node)
            if key in value:
                raise _at(key_node, f"the key {key!r} stands here twice (first on line {lines[(*path, key)]})")
            value[key] = _value(item, (*path, key), lines, around)
            lines[(*path, key)] = key_node.start_mark.line + 1
    else:
        raise _unknown_tag(node)
    around.discard(id(node))
    return value


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != _TAG + "str":
        is_number = node.tag in (_TAG + "int", _TAG + "float")  # `{price: 0,55}` holds the keys price and 55
        raise _at(node, "a key must be text; put it in quotes" + (", or write a decimal point" if is_number else ""))
    return _text(node)


def _text(node: yaml.ScalarNode) -> str:
    """What no file and no path can hold is refused; a character escaped as its two halves is put together."""
    try:
        text: str = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _at(node, "half a character (\\ud800 to \\udfff) is no text") from error
    if "\0" in text:
        raise _at(node, "text that holds a NUL is not read")
    return text


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind == "str":
        return _text(node)
    if kind not in _CORE or not re.fullmatch(_CORE[kind][0], text):
        raise _unknown_tag(node)
    if kind == "null":
        return None
    if kind == "bool":
        return bool(text.lower() == "true")
    if len(text) > 100 or not math.isfinite(float(text)):
        raise _at(node, "a number this large is not read; put it in quotes if it is text")
    return float(text) if kind == "float" else int(text)


def _at(node: yaml.Node, problem: str) -> YamlError:
    return YamlError(problem, node.start_mark.line + 1, node.start_mark.column + 1)


def _unknown_tag(node: yaml.Node) -> YamlError:
    return _at(node, f"{node.tag.replace(_TAG, '!!')} has no meaning here")
