"""A set of organisations that may be one."""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.base.records import Family
from stillroom.watch.links.contents import Content
from stillroom.watch.links.population import Integers
from stillroom.watch.links.tie import Tie


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: numbers of organisations, ascending."""

    members: Integers
    contents: tuple[Content, ...]
    ties: tuple[Tie, ...]
    calls: int
    """All calls of the members without a permit, whatever they ask."""

    @property
    def families(self) -> frozenset[Family]:
        return frozenset(tie.family for tie in self.ties)

    @property
    def questions(self) -> int:
        return sum(content.questions for content in self.contents)

    @property
    def calls_on_contents(self) -> int:
        return sum(int(content.calls_M.sum()) for content in self.contents)

    @property
    def taken(self) -> int:
        """Different questions that were asked together; all calls, where nothing is known of what they ask."""
        return self.questions if self.contents else self.calls
