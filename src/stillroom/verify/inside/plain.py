"""Values that cross between the answer's process and the tests': plain data by value, everything else by a number.

Plain is what consists of the built-in types named below, exactly, and of nothing else: an object of a class of the
answer's own, though it derives from `list`, has methods that decide what it is equal to, and stays where it is. What is
sent is JSON; reading it runs nothing, whoever wrote it.
"""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}
_MAPPINGS: dict[str, Callable[[dict[Any, Any]], Any]] = {
    "dict": dict,
    "Counter": collections.Counter,
    "OrderedDict": collections.OrderedDict,
    "defaultdict": lambda items: collections.defaultdict(None, items),
}
_OTHERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "bytes": (bytes.hex, bytes.fromhex),
    "bytearray": (bytearray.hex, bytearray.fromhex),
    "complex": (lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    "range": (lambda value: _hex(value.start, value.stop, value.step), lambda parts: range(*_integers(parts))),
    "Decimal": (str, Decimal),
    "Fraction": (lambda value: _hex(value.numerator, value.denominator), lambda parts: Fraction(*_integers(parts))),
    "date": (datetime.date.isoformat, datetime.date.fromisoformat),
    "datetime": (datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "timedelta": (lambda value: _hex(*_parts(value)), lambda parts: datetime.timedelta(*_integers(parts))),
}
_TYPES: dict[type, str] = {
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    collections.deque: "deque",
    dict: "dict",
    collections.Counter: "Counter",
    collections.OrderedDict: "OrderedDict",
    collections.defaultdict: "defaultdict",
    bytes: "bytes",
    bytearray: "bytearray",
    complex: "complex",
    range: "range",
    Decimal: "Decimal",
    Fraction: "Fraction",
    datetime.date: "date",
    datetime.datetime: "datetime",
    datetime.timedelta: "timedelta",
}
CHANGEABLE = (list, set, collections.deque, dict, collections.Counter, collections.OrderedDict, bytearray)
"""Types of plain data that a call may change in place."""


def encode(value: object, other: Callable[[object], list[Any]]) -> Any:
    """`value` as JSON can hold it. `other` gives a list, which begins with a tag of its own, for what is not plain.

    Raises RecursionError for what contains itself, or is nested too deeply.
    """
    kind = type(value)
    if value is None or kind in (bool, str, float):
        return value
    if type(value) is int:
        return value if -(2**63) < value < 2**63 else ["int", hex(value)]
    tag = _TYPES.get(kind)
    if tag is None:
        return other(value)
    content: Any = value
    if tag in _SEQUENCES:
        return [tag, *(encode(item, other) for item in content)]
    if tag in _MAPPINGS:
        return [tag, *([encode(key, other), encode(item, other)] for key, item in content.items())]
    return [tag, _OTHERS[tag][0](content)]


def decode(value: Any, other: Callable[[list[Any]], object]) -> Any:
    """The value that `encode` gave. `other` is given the lists with unknown tags.

    Raises ValueError, TypeError, LookupError, ArithmeticError or RecursionError for what `encode` never gives.
    """
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise TypeError("an object has no meaning here")
        return value
    tag = value[0]
    if tag in _SEQUENCES:
        return _SEQUENCES[tag]([decode(item, other) for item in value[1:]])
    if tag in _MAPPINGS:
        return _MAPPINGS[tag]({decode(key, other): decode(item, other) for key, item in value[1:]})
    if tag == "int":
        return int(value[1], 16)
    if tag in _OTHERS:
        return _OTHERS[tag][1](value[1])
    return other(value)


def refill(old: Any, new: Any) -> None:
    """Give a changeable container the content of another one of its type, in place."""
    if isinstance(old, list | bytearray):
        old[:] = new
        return
    old.clear()
    if isinstance(old, collections.deque):
        old.extend(new)
    else:
        old.update(new)


def _hex(*numbers: int) -> list[str]:
    return [hex(number) for number in numbers]


def _integers(written: list[str]) -> list[int]:
    return [int(number, 16) for number in written]


def _parts(value: datetime.timedelta) -> tuple[int, int, int]:
    return value.days, value.seconds, value.microseconds
