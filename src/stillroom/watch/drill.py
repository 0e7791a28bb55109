"""Drills: campaigns that the operator runs against itself, to know what share of real ones would be seen, and when.

A drill is registered before it can be found: what was found before nobody knew of it stays a finding. A finding is the
drill's only where all of its accounts are; one stranger among them, and a person looks at it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import UsageError
from stillroom.base.records import Finding
from stillroom.watch.review.database import ReviewDatabase
from stillroom.watch.review.found import parsed

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Drill:
    id: str
    """Its name, which no other drill has."""
    registered_at: int
    by: str
    reason: str
    accounts: frozenset[str]
    since_at: int
    until_at: int
    """UTC in microseconds: when the accounts play the campaign."""

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is of this drill's accounts alone, in a window in which they played it."""
        is_in_time = finding.since_at < self.until_at and self.since_at < finding.until_at
        return is_in_time and self.accounts.issuperset(finding.accounts)


class Drills:
    """The drills of a watch folder. Raises StoreError where its file cannot be used."""

    def __init__(self, watch: Path, clock: Clock = _CLOCK) -> None:
        self._database = ReviewDatabase(watch)
        self._clock = clock

    def add(self, name: str, accounts: Iterable[str], *, since_at: int, until_at: int, by: str, reason: str) -> Drill:
        """Register a drill. Raises UsageError for a name that is taken or empty, no accounts, no reason, no time."""
        drill = Drill(name.strip(), self._clock.now_us(), by, reason.strip(), frozenset(accounts), since_at, until_at)
        _check(drill)
        if drill.since_at <= drill.registered_at:
            raise UsageError(
                "A drill is registered before it begins: what was played before may be a campaign.",
                "Give a later --since.",
            )
        with self._database.changing() as connection:
            if any(each.id == drill.id for each in registered(connection)):
                raise UsageError(f"There is a drill {drill.id!r} already.", "Give this one another name.")
            accounts_json = orjson.dumps(sorted(drill.accounts)).decode()
            row = (drill.id, drill.registered_at, by, drill.reason, accounts_json, since_at, until_at)
            connection.execute("insert into drills values (?, ?, ?, ?, ?, ?, ?)", row)
        return drill

    def list(self) -> tuple[Drill, ...]:
        """All of them, the earliest registered first."""
        with self._database.reading() as connection:
            return registered(connection)


def registered(connection: sqlite3.Connection) -> tuple[Drill, ...]:
    rows = connection.execute("select * from drills order by registered_at, id")
    return tuple(
        Drill(name, at, by, reason, frozenset(parsed(accounts)), since_at, until_at)
        for name, at, by, reason, accounts, since_at, until_at in rows
    )


def drill_of(finding: Finding, first_at: int, drills: Sequence[Drill]) -> Drill | None:
    """The drill whose finding this is; `first_at`: when it was first put into the store."""
    known = (drill for drill in drills if drill.registered_at <= first_at and drill.covers(finding))
    return next(known, None)


def _check(drill: Drill) -> None:
    if not drill.id:
        raise UsageError("A drill needs a name.", "Give it one: it stands beside what is found of it.")
    if not drill.accounts:
        raise UsageError("A drill needs accounts.", "Name the accounts that will play it.")
    if not drill.reason:
        raise UsageError("A drill needs a reason.", "Say why it is held: it stays on record.")
    if drill.since_at >= drill.until_at:
        raise UsageError("The drill would end before it begins.", "Give an end that is later than its beginning.")
