"""One row of a source: fields by their names, and fields within fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


@dataclass(slots=True)
class Record:
    place: int
    """The line that it begins at, or its row in a Parquet file: from 1."""
    fields: Mapping[str, Any]
    written: str
    """All of it as text: equal for equal rows."""
    _inner: dict[str, Any] = field(default_factory=dict)
    """Of fields that hold JSON as text: what it says."""

    def get(self, path: str) -> Any:
        """The field called so; else, of `a.b`, the field b of what a holds, as it is or as JSON. None for none."""
        if path in self.fields:
            return self.fields[path]
        first, *others = _parts(path)
        if not others:
            return None
        value = self.fields.get(first)
        within = first
        for part in others:
            if isinstance(value, str):
                value = self.parsed(within, value)
            value = value.get(part) if isinstance(value, dict) else None
            within = f"{within}.{part}"
        return value

    def parsed(self, path: str, text: str) -> Any:
        """What the JSON of a field says; None where it is none. Read once."""
        if path not in self._inner:
            self._inner[path] = json_or_none(text)
        return self._inner[path]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What was to be a row and is none."""

    place: int
    reason: str


def json_or_none(text: str) -> Any:
    """What a JSON object or list says."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return decoded(text)
    except (ValueError, RecursionError):
        return None


decoded = json.JSONDecoder(strict=False).decode
"""`json.loads` makes a decoder for each text. Raises ValueError, and RecursionError for what nests too deeply."""


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))
