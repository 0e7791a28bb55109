"""What pydantic finds wrong with a configuration, in words for the person who wrote it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stillroom.text.plain_yaml import Path

_EXPECTED = {
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text (in quotes, if it looks like a number)",
    "bool_type": "should be true or false",
    "model_type": "should be keys and values",
    "dict_type": "should be keys and values",
    "tuple_type": "should be a list",
    "too_short": "should have at least one entry",
    "string_too_short": "should not be empty",
}


def describe(
    error: ValidationError, model: type[BaseModel], data: Any, lines: Mapping[Path, int], file: str
) -> tuple[str, str]:
    """What happened and what to do: one line per problem, each with its place in `data` and its line in `file`.

    `data` is what `model` was given, as plain values; `lines` says where each of them stands.
    """
    own = [details for details in error.errors() if not _follows_from_its_entries(details)]
    problems = list(dict.fromkeys(_problem(details, model, data, lines) for details in own))
    if len(problems) == 1:
        return f"{file}: {problems[0]}", "The keys and their values are listed in docs/recipe.md."
    listed = "".join(f"\n  {problem}" for problem in problems)
    return f"{file} has {len(problems)} problems:{listed}\n", "The keys and their values are listed in docs/recipe.md."


def _follows_from_its_entries(details: ErrorDetails) -> bool:
    """Whether a list is called too short only because pydantic leaves out the entries that are wrong themselves."""
    value = details["input"]
    return details["type"] == "too_short" and isinstance(value, list) and len(value) >= details["ctx"]["min_length"]


def _problem(details: ErrorDetails, model: type[BaseModel], data: Any, lines: Mapping[Path, int]) -> str:
    kind, value = details["type"], details["input"]
    path = _path_in(data, details["loc"], last_may_be_absent=kind == "missing")
    context = details.get("ctx", {})
    tag = str(context.get("discriminator")).split("|")[-1].strip(" '")
    if kind == "union_tag_invalid":
        path, value = (*path, tag), context["tag"]
    place = ".".join(str(part) for part in path) or "the recipe"
    line = lines.get(path)
    prefix = f"{place} (line {line})" if line else place
    if kind == "extra_forbidden":
        return f"{prefix}: there is no such key{_nearest_key(model, data, path)}"
    if kind == "union_tag_not_found":
        return f"{prefix}: {tag} is missing."
    if kind == "missing":
        return f"{prefix}: is missing."
    if kind == "value_error":
        return f"{prefix}: {details['msg'].removeprefix('Value error, ')}."
    if kind == "union_tag_invalid":
        return f"{prefix}: should be one of {context['expected_tags']}{_got(value, path, context['expected_tags'])}"
    expected = _EXPECTED.get(kind) or details["msg"].removeprefix("Input ")
    return f"{prefix}: {expected}{_got(value, path, str(context.get('expected', '')))}"


def _got(value: Any, path: Path, expected: str = "") -> str:
    """What stood there instead, and the word of `expected` (`'a', 'b' or 'c'`) that it may have been meant to be."""
    if any("key" in str(part) for part in path):
        return "."  # somebody may have put the key itself where its variable's name belongs
    if isinstance(value, dict | list):
        return ", got keys and values." if isinstance(value, dict) else f", got a list of {len(value)}."
    near = difflib.get_close_matches(
        str(value), [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
    )
    got = "nothing" if value is None else json.dumps(value, ensure_ascii=False)[:80]
    return f", got {got}; did you mean {near[0]}?" if near else f", got {got}."


def _path_in(data: Any, loc: tuple[int | str, ...], *, last_may_be_absent: bool) -> Path:
    """`loc` without the names of union members that pydantic adds."""
    path: list[int | str] = []
    for index, part in enumerate(loc):
        absent = last_may_be_absent and index == len(loc) - 1
        if isinstance(data, list) and isinstance(part, int):
            data = data[part]
        elif isinstance(data, dict) and (part in data or absent):
            data = data.get(part)
        else:
            continue
        path.append(part)
    return tuple(path)


def _nearest_key(model: type[BaseModel], data: Any, path: Path) -> str:
    """`; did you mean samples?`, from the keys that are right here, or from a section that has this very key."""
    key = str(path[-1])
    right = sorted({name for found in _models_at(model, data, path[:-1]) for name in _names(found)})
    near = difflib.get_close_matches(key, right, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    for section, annotation in _names(model).items():
        if any(key in _names(found) for found in _models_in(annotation)):
            return f"; did you mean {section}.{key}?"
    return f"; the keys here are {', '.join(right)}." if right else "."


def _models_at(model: type[BaseModel], data: Any, path: Path) -> list[type[BaseModel]]:
    """The models that may stand at `path`; of a union, those whose literal fields agree with `data`."""
    found = [model]
    for part in path:
        data = data[part]
        if isinstance(part, int):
            continue  # a list's items have the annotation that was looked through with the list
        inner = [names[part] for names in map(_names, found) if part in names]
        found = [candidate for annotation in inner for candidate in _models_in(annotation)]
    agreeing = [candidate for candidate in found if _agrees(candidate, data)]
    return agreeing or found


def _agrees(model: type[BaseModel], data: Any) -> bool:
    return isinstance(data, dict) and all(
        data[name] in get_args(annotation)
        for name, annotation in _names(model).items()
        if get_origin(annotation) is Literal and name in data
    )


def _names(model: type[BaseModel]) -> dict[str, Any]:
    """The keys that a person writes, each with its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, through Optional, unions, lists and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
