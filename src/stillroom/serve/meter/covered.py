"""Which rows the forgetting records of a chain cover. Numbers of rows are written as ranges, `[first, last]` each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stillroom.serve.meter.chain import ChainLine


def covered_rows(lines: Iterable[ChainLine]) -> dict[int, set[int]]:
    """The rows that were deleted on request, by segment."""
    covered: dict[int, set[int]] = {}
    for line in lines:
        if line.record["kind"] == "forgetting":
            for number, pairs in line.record["deleted"].items():
                for first, last in pairs:
                    covered.setdefault(int(number), set()).update(range(first, last + 1))
    return covered


def ranges(rows: Sequence[int]) -> list[list[int]]:
    """Of rows in rising order."""
    found: list[list[int]] = []
    for row in rows:
        if found and row == found[-1][1] + 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    return found
