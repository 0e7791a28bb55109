"""The shapes that a formula may have: `reading` reads them, `comparison` compares. The expressions in them are text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stillroom.verify.units import Unit


@dataclass(frozen=True, slots=True)
class Expression:
    """One value. `noun` is what is counted, or any other text that follows and is no unit known."""

    text: str
    unit: Unit | None = None
    percent: bool = False
    noun: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    text: str


@dataclass(frozen=True, slots=True)
class Several:
    """list: in an order that may matter; set and or and pm: no order; tuple: an order that matters."""

    parts: tuple[Reading, ...]
    how: Literal["list", "set", "or", "pm", "tuple"]


@dataclass(frozen=True, slots=True)
class Assigned:
    """`name` = value; `name` is one letter, or a function's head such as f(x)."""

    name: str
    value: Reading


@dataclass(frozen=True, slots=True)
class Equation:
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, expressions in text, \\infty included."""

    low: str
    high: str
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class RealSet:
    """A union of intervals; `variable` is the letter whose condition it was written as, "" where there was none."""

    intervals: tuple[Interval, ...]
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A value that is given with a reserve: "about 5", "5 or more"."""

    value: Reading
    reason: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A formula whose shape is not known here: only the same text is the same."""

    text: str


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Reading, ...], ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Based:
    """Digits with the base they are written in."""

    digits: str
    base: int


Reading = Expression | Words | Several | Assigned | Equation | RealSet | Doubtful | Unread | Matrix | Ratio | Based
