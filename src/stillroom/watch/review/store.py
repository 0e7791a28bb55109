"""The findings of a watch folder, and what people decided about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from stillroom.base.canonical import canonical_bytes, digest
from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import StoreError, UsageError
from stillroom.base.records import Finding, FindingStatus
from stillroom.report.charts import Spec
from stillroom.text.counted import counted
from stillroom.watch.drill import Drill, drill_of, registered
from stillroom.watch.review.database import ReviewDatabase
from stillroom.watch.review.found import (
    END_US,
    Found,
    Member,
    finding_as_json,
    finding_from_json,
    member_as_json,
    member_from_json,
    parsed,
)
from stillroom.watch.review.identity import Trace, known_again

Decision = Literal["confirm", "dismiss", "ask"]
StepName = Literal["found", "changed", "confirmed", "dismissed", "asked", "exported"]
DECIDED: dict[Decision, Literal["confirmed", "dismissed", "asked"]] = {
    "confirm": "confirmed",
    "dismiss": "dismissed",
    "ask": "asked",
}
_CLOCK = SystemClock()
_DAY_US = 86_400_000_000
_MOVES = ("id", "status", "since_at", "until_at", "found_at", "calls_root")
"""What is another at each run although nothing new is found."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a finding. Never changed or deleted."""

    number: int
    finding: str
    at: int
    """UTC in microseconds."""
    step: StepName
    by: str | None
    """None: the program."""
    reason: str | None
    version: int
    """Of the finding: what whoever did it had before them."""
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far word of a step has come: the latest attempt to bring it to the operator's own systems."""

    step: int
    attempts: int
    at: int
    """UTC in microseconds."""
    answer: str
    """The status that was answered, or in words why there was none."""
    is_done: bool
    """Taken, or let go."""


@dataclass(frozen=True, slots=True)
class KeptFinding:
    """A finding as it stands: the latest version, with what was decided."""

    finding: Finding
    """With the id it keeps, and its present status."""
    version: int
    first_at: int
    last_at: int
    """When a run found it first and last: UTC in microseconds."""
    drill: str | None
    """The name of the drill whose finding it is."""
    decision: Step | None
    """The latest one."""
    since_decision: tuple[str, ...]
    """What has come to it since, in sentences: reasons to look again."""
    members: tuple[Member, ...]

    @property
    def needs_decision(self) -> bool:
        return self.finding.status == "open" or bool(self.since_decision)


class FindingStore:
    """Opens WATCH/review.sqlite, or makes it. Raises StoreError where it cannot be used."""

    def __init__(self, watch: Path, clock: Clock = _CLOCK) -> None:
        self.watch = watch
        self._database = ReviewDatabase(watch)
        self._clock = clock

    def put(self, finding: Finding, charts: Sequence[Spec] = ()) -> str:
        """Keep a finding, and say the id that it has here. See `put_all`, which a run of the detectors calls."""
        return self.put_all([Found(finding, tuple(charts))])[0]

    def put_all(self, found: Sequence[Found]) -> list[str]:
        """Keep what one run found, no two with one id; the ids it has here, in the same order.

        What is found again keeps its id, its history and its decision, whatever id and status it comes with; of its
        versions the first is kept, one a day, and each that somebody decided on.
        """
        with self._database.changing() as connection:
            now, drills = self._clock.now_us(), registered(connection)
            traces = {each.finding.id: _trace(each) for each in found}
            assert len(traces) == len(found)
            names = known_again(_kept_traces(connection), traces)
            for each in found:
                _put(connection, names[each.finding.id], each, now, drills)
            return [names[each.finding.id] for each in found]

    def list(self, status: FindingStatus | None = None) -> tuple[KeptFinding, ...]:
        """Those that need a decision first, then the greatest score first."""
        with self._database.reading() as connection:
            rows = connection.execute("select id from findings where ? in (status, '')", [status or ""]).fetchall()
            kept = [_get(connection, name) for (name,) in rows]
        return tuple(sorted(kept, key=lambda each: (not each.needs_decision, -each.finding.score, each.finding.id)))

    def get(self, name: str) -> KeptFinding:
        """Raises UsageError where there is none of this id."""
        with self._database.reading() as connection:
            return _get(connection, name)

    def charts(self, name: str) -> tuple[Spec, ...]:
        """Of the latest version. Raises UsageError where there is no such finding."""
        with self._database.reading() as connection:
            (written,) = _row(connection, name, "charts")
            charts = parsed(written)
        if not isinstance(charts, list) or not all(isinstance(each, dict) for each in charts):
            raise StoreError(f"The charts of {name} are none.", "Restore review.sqlite from a backup.")
        return tuple(charts)

    def scores(self, name: str) -> tuple[tuple[int, float], ...]:
        """When each kept version was found (UTC in microseconds), and its score. Raises UsageError likewise."""
        with self._database.reading() as connection:
            _row(connection, name, "id")
            return tuple(
                connection.execute("select at, score from versions where finding = ? order by version", [name])
            )

    def deliveries(self, name: str) -> dict[int, Delivery]:
        """By the step's number, of those steps that were sent at all. Raises UsageError for an unknown finding."""
        with self._database.reading() as connection:
            _row(connection, name, "id")
            rows = connection.execute(
                """
                select d.step, d.attempt, d.at, d.answer, d.is_done from deliveries d join steps s on s.number = d.step
                where s.finding = ? order by d.step, d.attempt
                """,
                [name],
            )
            return {step: Delivery(step, attempt, at, answer, bool(done)) for step, attempt, at, answer, done in rows}

    def versions_since(self, at: int) -> tuple[Finding, ...]:
        """Every kept version that was found at `at` or later, of all findings: the earliest first."""
        with self._database.reading() as connection:
            rows = connection.execute("select written from versions where at >= ? order by at, finding", [at])
            return tuple(finding_from_json(parsed(written)) for (written,) in rows)

    def decide(self, name: str, decision: Decision, *, by: str, reason: str, version: int | None = None) -> Step:
        """Record what a person decided, and why. A later decision takes the place of an earlier one.

        `version`: the one that the person saw. Raises UsageError where the finding has changed since, for a drill's
        finding, for an empty reason or name, and where there is no such finding.
        """
        if decision not in get_args(Decision):
            raise UsageError(f"{decision!r} is no decision.", "Decide confirm, dismiss or ask.")
        if not reason.strip() or not by.strip():
            raise UsageError("A decision needs a reason and a name.", "Say why, and who decides: both stay on record.")
        status = DECIDED[decision]
        with self._database.changing() as connection:
            kept = _get(connection, name)
            if kept.drill is not None:
                raise UsageError(
                    f"{name} is the drill {kept.drill!r}: there is nothing to decide.", "See drill report."
                )
            if version not in (None, kept.version):
                raise UsageError(f"{name} has changed since you opened it.", "Look at it again, then decide.")
            connection.execute("update findings set status = ? where id = ?", [status, name])
            return _add_step(connection, kept, self._clock.now_us(), status, by=by.strip(), reason=reason.strip())

    def note_export(self, name: str, organisation: str, *, by: str) -> Step:
        """Record that somebody took out what one organisation is told. Raises UsageError for an unknown finding."""
        with self._database.changing() as connection:
            kept = _get(connection, name)
            detail = {"organisation": organisation}
            return _add_step(connection, kept, self._clock.now_us(), "exported", by=by, detail=detail)

    def history(self, name: str) -> tuple[Step, ...]:
        """Every step, the first one first. Raises UsageError where there is no such finding."""
        with self._database.reading() as connection:
            _row(connection, name, "id")
            rows = connection.execute("select * from steps where finding = ? order by number", [name])
            return tuple(step_of(row) for row in rows)


def _put(connection: sqlite3.Connection, name: str, found: Found, now: int, drills: Sequence[Drill]) -> None:
    before = None
    if connection.execute("select 1 from findings where id = ?", [name]).fetchone():
        before = _get(connection, name)
    finding = replace(found.finding, id=name, status="open")
    first_at = now if before is None else before.first_at
    drill = drill_of(finding, first_at, drills)
    is_decided = before is not None and before.decision is not None
    status = before.finding.status if before is not None and is_decided else "drill" if drill else "open"
    written = (
        _text_of(found.charts),
        _text_of([member_as_json(each) for each in found.members]),
        _text_of(sorted(found.link_values)),
    )
    connection.execute(
        "insert or replace into findings values (?, ?, ?, ?, ?, ?, ?, ?)",
        (name, finding.kind, status, first_at, now, *written),
    )
    seen = digest({field: value for field, value in finding_as_json(finding).items() if field not in _MOVES})
    version = _add_version(connection, finding, seen, now, drill)
    kept = _get(connection, name)
    if before is None:
        _add_step(connection, kept, now, "found", detail={"accounts": len(finding.accounts)})
    elif version > before.version and (changes := _changes(before.finding, finding)):
        _add_step(connection, kept, now, "changed", detail={"said": list(changes)})


def _add_version(connection: sqlite3.Connection, finding: Finding, seen: str, now: int, drill: Drill | None) -> int:
    """The finding's version: a new one where there is something new in it."""
    last = connection.execute(
        "select version, at, digest from versions where finding = ? order by version desc limit 1", [finding.id]
    ).fetchone()
    if last is not None and last[2] == seen:
        return int(last[0])  # when that was seen first is what counts
    version = 1 if last is None else int(last[0]) + 1
    if last is not None and last[1] // _DAY_US == now // _DAY_US:
        # Who decided on it, or took it out of here, must find again what they saw.
        connection.execute(
            """
            delete from versions where finding = ?1 and version = ?2 and version > 1 and not exists (
                select 1 from steps where finding = ?1 and version = ?2
                and step in ('confirmed', 'dismissed', 'asked', 'exported'))
            """,
            [finding.id, last[0]],
        )
    text = canonical_bytes(finding_as_json(finding)).decode()
    row = (finding.id, version, now, seen, None if drill is None else drill.id, finding.score, text)
    connection.execute("insert into versions values (?, ?, ?, ?, ?, ?, ?)", row)
    return version


def _get(connection: sqlite3.Connection, name: str) -> KeptFinding:
    status, first_at, last_at, members = _row(connection, name, "status, first_at, last_at, members")
    latest = connection.execute(
        "select version, drill, written from versions where finding = ? order by version desc limit 1", [name]
    ).fetchone()
    if latest is None or not all(isinstance(at, int) and 0 <= at < END_US for at in (first_at, last_at)):
        raise StoreError(f"The finding {name} is not as it was kept.", "Restore review.sqlite from a backup.")
    version, drill, written = latest
    finding = finding_from_json({**parsed(written), "status": status})
    decided = connection.execute(
        "select * from steps where finding = ? and step in ('confirmed', 'dismissed', 'asked') order by number desc",
        [name],
    ).fetchone()
    decision = None if decided is None else step_of(decided)
    since: tuple[str, ...] = ()
    if decision is not None:
        then = connection.execute(
            "select written from versions where finding = ? and version = ?", [name, decision.version]
        ).fetchone()
        if then is None:
            raise StoreError(f"What {name} was when it was decided on is gone.", "Restore review.sqlite from a backup.")
        since = _changes(finding_from_json(parsed(then[0])), finding)
    people = tuple(member_from_json(each) for each in parsed(members))
    return KeptFinding(finding, version, first_at, last_at, drill, decision, since, people)


def _changes(old: Finding, new: Finding) -> tuple[str, ...]:
    """What is new enough to be looked at, in sentences: accounts and families, not some more calls."""
    said = []
    if came := len(set(new.accounts) - set(old.accounts)):
        said.append(f"{counted(came, 'account has', 'accounts have')} come to it.")
    said += [f"Its {family} evidence is new." for family in sorted(_families(new) - _families(old))]
    return tuple(said)


def _families(finding: Finding) -> set[str]:
    return {each.family for each in finding.signals} | {each.family for each in finding.links}


def _add_step(
    connection: sqlite3.Connection,
    kept: KeptFinding,
    now: int,
    step: StepName,
    *,
    by: str | None = None,
    reason: str | None = None,
    detail: dict[str, Any] | None = None,
) -> Step:
    row = (kept.finding.id, now, step, by, reason, kept.version, _text_of(detail or {}))
    cursor = connection.execute(
        "insert into steps (finding, at, step, by, reason, version, detail) values (?, ?, ?, ?, ?, ?, ?)", row
    )
    number = cursor.lastrowid
    assert number is not None
    return Step(number, kept.finding.id, now, step, by, reason, kept.version, detail or {})


def _row(connection: sqlite3.Connection, name: str, columns: str) -> tuple[Any, ...]:
    found = connection.execute(f"select {columns} from findings where id = ?", [name]).fetchone()
    if found is None:
        raise UsageError(f"There is no finding {name!r}.", "stillroom watch findings lists them.")
    return tuple(found)


def step_of(row: tuple[Any, ...]) -> Step:
    """A row of the table `steps`."""
    number, finding, at, step, by, reason, version, detail = row
    return Step(number, finding, at, step, by, reason, version, parsed(detail))


def _trace(found: Found) -> Trace:
    finding = found.finding
    return Trace(finding.kind, frozenset(finding.accounts), frozenset(finding.organisations), found.link_values)


def _kept_traces(connection: sqlite3.Connection) -> dict[str, Trace]:
    rows = connection.execute(
        """
        select f.id, f.link_values, v.written from findings f join versions v on v.finding = f.id
        where v.version = (select max(version) from versions where finding = f.id)
        """
    )
    traces = {}
    for name, link_values, written in rows:
        finding = finding_from_json(parsed(written))
        traces[name] = _trace(Found(finding, link_values=frozenset(parsed(link_values))))
    return traces


def _text_of(value: Any) -> str:
    return orjson.dumps(value).decode()
