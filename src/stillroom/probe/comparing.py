"""Whether a statement is the one that its own data give."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from stillroom.probe.statement import Statement

_NOT_COMPUTED = {"plan", "software", "opened_at"}
_CLOSE = 1e-6
"""Relative: the last bits of a sum differ from machine to machine."""
_P_VALUES = {"p_value", "holm_p"}
"""However small they are, their size is what is compared."""
_NOUGHT = 1e-9
_RESAMPLED = {"adjusted_p", "low", "high", "suspect", "difference", "odds_tolerated"}
_CLOSE_RESAMPLED = 0.02
"""Absolute, of what rests on random draws, or on a search: another version of numpy or scipy ends elsewhere."""


def statement_differences(said: Statement, computed: Statement) -> list[str]:
    """Where the two are not the same, a sentence each."""
    one, other = _as_dict(said), _as_dict(computed)
    return [
        f"The statement says {path} = {_shown(first)}, and its data give {_shown(second)}."
        for path, first, second in _different(one, other, "")
    ]


def _as_dict(statement: Statement) -> dict[str, Any]:
    names = (name for name in statement.__dataclass_fields__ if name not in _NOT_COMPUTED)
    return {name: _plain(getattr(statement, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def _different(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from _different(one[name], other[name], f"{path}.{name}" if path else name)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from _different(first, second, f"{path}[{number}]")
    elif not _is_same(one, other, path.rpartition(".")[2]):
        yield path, one, other


def _is_same(one: Any, other: Any, name: str) -> bool:
    if not (_is_number(one) and _is_number(other)):
        return bool(one == other)
    absolute = _CLOSE_RESAMPLED if name in _RESAMPLED else 0.0 if name in _P_VALUES else _NOUGHT
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=absolute)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "..."
