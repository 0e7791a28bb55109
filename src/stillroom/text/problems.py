"""What pydantic finds wrong with a configuration, in words for the person who wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stillroom.base.validation import problem_in_words
from stillroom.text.nearest import nearest_name
from stillroom.text.plain_yaml import Path

_SHOULD_BE = "should be "
_LISTED = 8
"""Names that are shown where none is near; of more it is said where they stand."""


def describe(
    error: ValidationError,
    model: type[BaseModel],
    data: Any,
    lines: Mapping[Path, int],
    file: str,
    *,
    whole: str = "the recipe",
) -> tuple[str, str]:
    """What happened and what to do: one line per problem, each with its place in `data` and its line in `file`.

    `data` is what `model` was given, as plain values, `whole` what all of it is called; `lines` says where each of them
    stands.
    """
    own = [details for details in error.errors() if not _follows_from_its_entries(details)]
    own = _without_those_misspelt(_of_what_was_meant(own, data), model, data)
    problems = list(dict.fromkeys(_problem(details, model, data, lines, whole) for details in own))
    if len(problems) == 1:
        return f"{file}: {problems[0]}", "The keys and their values are listed in docs/recipe.md."
    listed = "".join(f"\n  {problem}" for problem in problems)
    return f"{file} has {len(problems)} problems:{listed}\n", "The keys and their values are listed in docs/recipe.md."


def _follows_from_its_entries(details: ErrorDetails) -> bool:
    """Whether a list is called too short only because pydantic leaves out the entries that are wrong themselves."""
    value = details["input"]
    return details["type"] == "too_short" and isinstance(value, list) and len(value) >= details["ctx"]["min_length"]


def _of_what_was_meant(errors: list[ErrorDetails], data: Any) -> list[ErrorDetails]:
    """Where several things may stand (text, or keys and values), pydantic says of each why this is not it.

    Of keys and values, or of a list, only what is wrong inside counts; of anything else, all that could stand there is
    said at once.
    """
    paths = [_path_in(data, details["loc"], last_may_be_absent=details["type"] == "missing") for details in errors]
    kept: dict[Path | int, ErrorDetails] = {}
    for index, (path, details) in enumerate(zip(paths, errors, strict=True)):
        said = problem_in_words(details)
        if not said.startswith(_SHOULD_BE) or details["type"] == "missing":
            kept[index] = details
        elif any(other[: len(path)] == path and len(other) > len(path) for other in paths):
            continue
        elif path in kept:
            before = kept[path]
            together = f"{problem_in_words(before)} or {said.removeprefix(_SHOULD_BE)}"
            kept[path] = {**before, "type": "together", "msg": together}
        else:
            kept[path] = details
    return list(kept.values())


def _without_those_misspelt(errors: list[ErrorDetails], model: type[BaseModel], data: Any) -> list[ErrorDetails]:
    """A key that is there with a typo is not said to be missing, too."""
    meant = set()
    for details in errors:
        if details["type"] == "extra_forbidden":
            path = _path_in(data, details["loc"], last_may_be_absent=False)
            meant.add((*path[:-1], nearest_name(str(path[-1]), _right_keys(model, data, path))))
    return [
        details
        for details in errors
        if details["type"] != "missing" or _path_in(data, details["loc"], last_may_be_absent=True) not in meant
    ]


def _problem(details: ErrorDetails, model: type[BaseModel], data: Any, lines: Mapping[Path, int], whole: str) -> str:
    kind, value = details["type"], details["input"]
    path = _path_in(data, details["loc"], last_may_be_absent=kind == "missing")
    context = details.get("ctx", {})
    tag = str(context.get("discriminator")).split("|")[-1].strip(" '")
    if kind == "union_tag_invalid":
        path, value = (*path, tag), context["tag"]
    place = ".".join(str(part) for part in path) or whole
    line = lines.get(path)
    prefix = f"{place} (line {line})" if line else place
    if kind == "extra_forbidden":
        return f"{prefix}: there is no such key{_nearest_key(model, data, path)}"
    if kind == "union_tag_not_found":
        return f"{prefix}: {tag} is missing."
    if kind == "union_tag_invalid":
        return f"{prefix}: there is no {_shown(value)}{_meant(str(value), _names_in(context['expected_tags']))}"
    said = problem_in_words(details)
    if kind in ("missing", "value_error"):
        return f"{prefix}: {said}."
    in_quotes = " (in quotes, if it looks like a number)" if kind == "string_type" else ""
    return f"{prefix}: {said}{in_quotes}{_got(value, path, str(context.get('expected', '')))}"


def _got(value: Any, path: Path, expected: str = "") -> str:
    """What stood there instead, and the word of `expected` (`'a', 'b' or 'c'`) that it may have been meant to be."""
    if any("key" in str(part) for part in path):
        return "."  # somebody may have put the key itself where its variable's name belongs
    if isinstance(value, dict | list):
        return ", got keys and values." if isinstance(value, dict) else f", got a list of {len(value)}."
    near = nearest_name(str(value), _names_in(expected))
    return f", got {_shown(value)}; did you mean {near}?" if near else f", got {_shown(value)}."


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)[:80]


def _names_in(expected: str) -> list[str]:
    """The words of `'a', 'b' or 'c'`."""
    return [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]


def _meant(name: str, names: list[str]) -> str:
    """The end of a sentence about a name that does not exist."""
    near = nearest_name(name, names)
    if near is not None:
        return f"; did you mean {near}?"
    return f"; there are {', '.join(names)}." if 0 < len(names) <= _LISTED else "."


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
    right = _right_keys(model, data, path)
    near = nearest_name(key, right)
    if near is not None:
        return f"; did you mean {near}?"
    for section, annotation in _names(model).items():
        if any(key in _names(found) for found in _models_in(annotation)):
            return f"; did you mean {section}.{key}?"
    return f"; the keys here are {', '.join(right)}." if right else "."


def _right_keys(model: type[BaseModel], data: Any, path: Path) -> list[str]:
    """Those that may stand where the last key of `path` does."""
    return sorted({name for found in _models_at(model, data, path[:-1]) for name in _names(found)})


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
