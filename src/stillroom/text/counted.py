"""Numbers with their nouns and verbs: `1 sample is`, `1,200 samples are`."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 sample`, `2 samples`; `many` where the plural is not `one` with an s, or a verb follows."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
