"""Questions on which models differ, with every model's reply, chosen by a rule and not by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.base.canonical import digest
from stillroom.report.samples import Answered, Excerpt, answered, excerpt
from stillroom.store.tables import read_rows

MOST = 8
"""Questions shown."""
MODELS_SHOWN = 6
TEXT_SHOWN = 1_500
"""Characters of one text on the page."""

Pattern = tuple[bool, ...]
"""Which of the models are right."""


@dataclass(frozen=True, slots=True)
class Difference:
    set: str | None
    family: str | None
    right: tuple[str, ...]
    """The models that are right."""
    question: Excerpt
    expected: Excerpt | None
    replies: tuple[Answered, ...]


def read_differences(path: Path, names: Sequence[str]) -> list[Difference]:
    """At most eight questions of `exam/answers.parquet` that some of the first six models have right and some have not.

    A model's first sample speaks for it. The ways in which they differ take turns, the commonest first; within one, the
    order is that of the digests of the questions' ids. The file is read twice, and only the chosen rows are held.
    """
    shown = list(names[:MODELS_SHOWN])
    chosen = _choose(_who_is_right(path, shown))
    texts: dict[tuple[str | None, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in read_rows(path):
        key = (row["set"], row["question_id"])
        if key in chosen and row["taker"] in shown:
            texts[key].setdefault(row["taker"], row)
    return [_difference([texts[key][name] for name in shown]) for key in chosen]


def _who_is_right(path: Path, names: Sequence[str]) -> dict[tuple[str | None, str], Pattern]:
    rights: dict[tuple[str | None, str], dict[str, bool]] = defaultdict(dict)
    for row in read_rows(path, columns=["taker", "set", "question_id", "verdict"]):
        if row["taker"] in names:
            rights[row["set"], row["question_id"]].setdefault(row["taker"], row["verdict"] == "right")
    return {key: tuple(right[name] for name in names) for key, right in rights.items() if len(right) == len(names)}


def _choose(rights: dict[tuple[str | None, str], Pattern]) -> list[tuple[str | None, str]]:
    by_pattern: dict[Pattern, list[tuple[str | None, str]]] = defaultdict(list)
    for key, pattern in rights.items():
        if any(pattern) and not all(pattern):
            by_pattern[pattern].append(key)
    ordered = sorted(by_pattern.items(), key=lambda item: (-len(item[1]), item[0]))
    turns = [
        (turn, rank, key)
        for rank, (_, keys) in enumerate(ordered)
        for turn, key in enumerate(sorted(keys, key=lambda key: digest(list(key))))
    ]
    return [key for _, _, key in sorted(turns, key=lambda turn: turn[:2])[:MOST]]


def _difference(rows: Sequence[dict[str, Any]]) -> Difference:
    first = rows[0]
    return Difference(
        set=first["set"],
        family=first["family"],
        right=tuple(_right(rows)),
        question=excerpt(first["question"] or "", TEXT_SHOWN),
        expected=excerpt(first["expected"], TEXT_SHOWN) if first["expected"] is not None else None,
        replies=tuple(answered(row, TEXT_SHOWN) for row in rows),
    )


def _right(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    return (row["taker"] for row in rows if row["verdict"] == "right")
