"""What the families of the classroom have in common: one problem, and how it is told apart from all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from stillroom.base.canonical import digest
from stillroom.base.records import Kind

Split = Literal["train", "exam"]


@dataclass(frozen=True)
class Problem:
    """One question of a family. `parameters` decide everything about it but the wording."""

    family: str
    parameters: dict[str, Any]
    text: str
    answer: str
    kind: Kind
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def split(self) -> Split:
        """One problem in five is for examinations. The parameters alone decide, so that no problem is ever in both,
        in whatever words, and whoever draws it."""
        return "exam" if int(digest([self.family, self.parameters])[7:15], 16) % 5 == 0 else "train"


@dataclass(frozen=True)
class Family:
    name: str
    draw: Callable[[Random], Problem]
    solve: Callable[[Problem, Random], str]
    """Steps in words and order that the random generator picks; ends before the answer."""
    restate: Callable[[Problem], str]
    """What the question says, in short and in its own order, with nothing worked out."""
