"""What a data set is written as for one tool, and what is known once it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stillroom.base.records import Trace
from stillroom.export.conversation import Turn
from stillroom.export.settings import DatasetTarget, Reasoning
from stillroom.terms.conditions import Conditions
from stillroom.terms.grants import Grant

Line = dict[str, Any]
SPLITS = {"train": "traces.parquet", "validation": "held_out.parquet"}
"""The parts of an export, and the tables of a run that they are made of."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What the terms of all rows ask that an export is made of."""

    grant: Grant | None = None
    """Of the run's own teacher; None: it was asked before grants were kept."""
    conditions: tuple[tuple[str, Conditions], ...] = ()
    """With the id of the entry whose they are."""
    has_unstated: bool = False
    """Whether nobody said under which terms some rows came."""


@dataclass(frozen=True, slots=True)
class About:
    """What an export says of its run, and no table of the run holds. None is not stated."""

    name: str
    """The run's."""
    teacher: str | None
    """As it was asked for."""
    terms: str | None
    """What the recipe states of the teacher's terms; `own` for a model of one's own."""
    student: str | None
    """What the recipe trains."""
    binding: Binding = Binding()


@dataclass(slots=True)
class Counts:
    """Of one split."""

    traces: int = 0
    """Read."""
    written: int = 0
    """Of them, those that have lines."""
    lines: int = 0
    without_reasoning: int = 0
    """Lines whose trained reply, or one of them, has no reasoning."""
    left_out: Counter[str] = field(default_factory=Counter)
    """The other traces, by reason."""


@dataclass(slots=True)
class Written:
    """All that the files beside the data are written from."""

    about: About
    to: DatasetTarget
    reasoning: Reasoning
    splits: dict[str, Counts] = field(default_factory=dict)
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    """By split: the data files, with their lines."""
    longest: int = 0
    """Characters of the longest line's messages."""
    most_tokens: int | None = None
    """Completion tokens of the longest reply, as the teacher counted."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one tool wants a data set."""

    tool: str
    """Its name, for people."""
    readme: str
    """The template of what its README says about loading it."""
    lines: Callable[[list[Turn], Trace], Iterator[Line]]
    """The lines of a trace, one or several. Raises LeftOut."""
    more_files: Callable[[Written], Mapping[str, str]] = lambda _written: {}
    """Files beside the data, by name."""
    head: Callable[[Written], Mapping[str, Any]] = lambda _written: {}
    """What the README's head tells the datasets library."""
    part: Callable[[Trace], str] = lambda _trace: ""
    """The end of the name of the file that a trace goes to."""
    file_bytes: int | None = None
    """The most that one file may have."""


def part_of(trace: Trace) -> str:
    """Rows that call tools, rows that only offer them, and all others stand in files of their own.

    The datasets library takes a file's columns from the first rows of it, and refuses a later row that has others.
    """
    if any(message.tool_calls for message in trace.messages):
        return "_calls"
    return "_tools" if trace.tools else ""
