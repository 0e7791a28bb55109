"""The counters in the database, and what each worker holds of them. Every method is one transaction, or one read.

`counted` holds all that was used in the window and all that workers hold: a call passes where its part of a lease is
already counted. Transactions lock their counters in one order, so that none waits for another in a circle.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, bindparam, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoResultFound

from stillroom.serve.database.engine import writing
from stillroom.serve.limits.bound import FOREVER, Counter, LimitName, window_of
from stillroom.serve.limits.decision import Need, Standing, decide, enlarge, retry_after_s
from stillroom.serve.limits.leases import Given, Statement
from stillroom.serve.limits.tables import limit_counters as counters
from stillroom.serve.limits.tables import limit_leases as leases
from stillroom.serve.limits.tables import limit_workers as workers

DEAD_US = 10_000_000
"""A worker that gave no sign of life for this long is dead: its calls are no longer open."""
_WANTED_US = 2_000_000
_AT_ONCE = 200
"""Counters named in one query."""


class Refusal(NamedTuple):
    name: LimitName
    retry_after_s: int | None
    heard_at: int | None
    """Other workers hold some of it, and have been asked to give back what is free. When the one that was silent for
    the longest last said what it holds, UTC microseconds; None: nobody else holds any.
    """


class Answer(NamedTuple):
    given: dict[Counter, Given]
    """For each statement."""
    refusals: list[Refusal | None]
    """For each call; None: it passes."""


class _Elsewhere(NamedTuple):
    """What other workers that live hold of a counter and have not told that they used."""

    open: int
    heard_at: int


class LeftBehind(NamedTuple):
    """Until when a dead worker had told what its calls used. UTC microseconds."""

    seen_at: int
    told_at: dict[Counter, int]

    def since(self, subject: str, name: LimitName) -> int:
        """What its calls used from then on was never told, and stands in the log alone."""
        return self.told_at.get((subject, name), self.seen_at)


class Ledger:
    """As one process sees it that has taken a worker's place (`worker`, one name for each). For one thread at a time.

    Every method may raise sqlalchemy's SQLAlchemyError. What was not committed then may be said again: statements are
    absolute.
    """

    def __init__(self, engine: Engine, worker: str) -> None:
        self._engine = engine
        self._worker = worker
        self._instance = secrets.token_hex(8)
        self._known: set[Counter] = set()
        """Counters that have a row: none is ever deleted."""

    def sign_of_life(self, now_us: int) -> None:
        mine = leases.c.instance == self._instance
        with writing(self._engine) as connection:
            seen = update(workers).where(workers.c.instance == self._instance).values(seen_at=now_us)
            if not connection.execute(seen).rowcount:
                row = {"instance": self._instance, "worker": self._worker, "seen_at": now_us}
                connection.execute(insert(workers), row)
            connection.execute(delete(leases).where(mine, leases.c.ends_at <= now_us))

    def exchange(self, statements: Sequence[Statement], asks: Sequence[Sequence[Need]], now_us: int) -> Answer:
        """Takes down what the worker states, and gives what calls lack, in their order, each all or nothing.

        There is one statement for each counter that a call lacks something of, and not two for any.
        """
        self._make([statement.counter for statement in statements])
        with writing(self._engine) as connection:
            standings = self._standings(connection, statements)
            refused = decide(asks, standings)
            lacking = {need.counter for need in refused if need}
            elsewhere = self._open_elsewhere(connection, lacking, standings, now_us)
            for counter in elsewhere:
                standings[counter].wanted_until = now_us + _WANTED_US
            for standing in standings.values():
                enlarge(standing, now_us)
            self._write(connection, standings, now_us)
        given = {
            counter: Given(standing.starts_at, standing.extra, standing.wanted_until, standing.held)
            for counter, standing in standings.items()
        }
        return Answer(given, [need and _refusal(standings[need.counter], need, elsewhere, now_us) for need in refused])

    def wanted(self, now_us: int) -> list[tuple[Counter, int]]:
        """Counters that some worker lacks something of, and until when they are to be held back by nobody."""
        columns = (counters.c.subject, counters.c.name, counters.c.wanted_until)
        with self._engine.connect() as connection:
            found = connection.execute(select(*columns).where(counters.c.wanted_until > now_us)).all()
        return [((subject, name), until) for subject, name, until in found]

    def free_the_dead(self, now_us: int) -> None:
        """Calls of workers that gave no sign of life for DEAD_US are no longer open. What they held of anything else
        stays counted as used, until `recover` knows better.
        """
        is_dead = workers.c.seen_at < now_us - DEAD_US
        is_empty = ~exists().where(leases.c.instance == workers.c.instance)
        their_open_calls = (
            leases.c.instance.in_(select(workers.c.instance).where(is_dead)),
            leases.c.name == "concurrent",
        )
        with self._engine.connect() as connection:
            if not connection.execute(select(exists().where(is_dead))).scalar():
                return
            found = connection.execute(select(leases.c.subject, leases.c.name).where(*their_open_calls)).all()
        with writing(self._engine) as connection:
            rows = self._lock(connection, {(subject, name) for subject, name in found})
            changes: dict[Counter, int] = {}
            for lease in connection.execute(delete(leases).where(*their_open_calls).returning(*leases.c)).all():
                counter = (lease.subject, lease.name)
                changes[counter] = changes.get(counter, 0) - lease.held
            _add(connection, rows, changes)
            of_the_dead = leases.c.instance.in_(select(workers.c.instance).where(is_dead))
            connection.execute(delete(leases).where(of_the_dead, leases.c.ends_at <= now_us))
            connection.execute(delete(workers).where(is_dead, is_empty))

    def left_by(self, worker: str) -> LeftBehind | None:
        """What earlier processes in this worker's place had told, if they ended without giving back."""
        others = (workers.c.worker == worker, workers.c.instance != self._instance)
        told = select(leases.c.subject, leases.c.name, func.min(leases.c.told_at)).join(
            workers, leases.c.instance == workers.c.instance
        )
        with self._engine.connect() as connection:
            seen_at = connection.execute(select(func.min(workers.c.seen_at)).where(*others)).scalar()
            if seen_at is None:
                return None
            found = connection.execute(told.where(*others).group_by(leases.c.subject, leases.c.name)).all()
        return LeftBehind(seen_at, {(subject, name): told_at for subject, name, told_at in found})

    def recover(self, worker: str, actual: Mapping[Counter, int | None] | None, now_us: int) -> None:
        """Ends the leases of earlier processes in this worker's place. What they had told stays counted, and `actual`
        with it; where that is None, all that they held. Their calls are no longer open. What was not used of a window
        that is over at `now_us` is given back to nobody: what calls had used of it when it ended, no lease says.
        """
        others = (workers.c.worker == worker, workers.c.instance != self._instance)
        theirs = leases.c.instance.in_(select(workers.c.instance).where(*others))
        with self._engine.connect() as connection:
            held = connection.execute(select(leases.c.subject, leases.c.name).where(theirs)).all()
            there = _existing(connection, actual or {})
        used = {counter: amount for counter, amount in (actual or {}).items() if counter in there}
        concerned: set[Counter] = {*there, *((subject, name) for subject, name in held)}
        with writing(self._engine) as connection:
            rows = self._lock(connection, concerned)
            changes = {counter: amount for counter, amount in used.items() if amount is not None}
            for lease in connection.execute(delete(leases).where(theirs).returning(*leases.c)).all():
                counter = (lease.subject, lease.name)
                is_known = lease.name == "concurrent" or (actual is not None and used.get(counter, 0) is not None)
                is_over = lease.name != "concurrent" and lease.starts_at != window_of(lease.name, now_us).starts_at
                if is_known and not is_over and lease.starts_at == rows[counter].starts_at:
                    changes[counter] = changes.get(counter, 0) - (lease.held - lease.used)
            _add(connection, rows, changes)
            connection.execute(delete(workers).where(*others))

    def leave(self) -> None:
        """This process ends. What it still holds stays counted as used; its calls are no longer open."""
        mine = leases.c.instance == self._instance
        with writing(self._engine) as connection:
            found = connection.execute(select(leases.c.subject, leases.c.name).where(mine)).all()
            rows = self._lock(connection, {(subject, name) for subject, name in found})
            ended = connection.execute(delete(leases).where(mine).returning(*leases.c)).all()
            open_calls = {(lease.subject, lease.name): -lease.held for lease in ended if lease.name == "concurrent"}
            _add(connection, rows, open_calls)
            connection.execute(delete(workers).where(workers.c.instance == self._instance))

    def _make(self, wanted: Iterable[Counter]) -> None:
        """Rows for counters that have none. In a transaction of its own: it takes no other locks than these."""
        new = sorted(set(wanted) - self._known)
        if new:
            with writing(self._engine) as connection:
                rows = [
                    {"subject": subject, "name": name, "starts_at": 0, "counted": 0, "wanted_until": 0}
                    for subject, name in new
                ]
                connection.execute(_dialect(connection).insert(counters).on_conflict_do_nothing(), rows)
            self._known.update(new)

    def _lock(self, connection: Connection, wanted: Collection[Counter]) -> dict[Counter, Row[Any]]:
        """Their rows, which nobody else changes until the transaction ends."""
        rows: dict[Counter, Row[Any]] = {}
        for some in _batches(wanted):
            query = select(counters).where(tuple_(counters.c.subject, counters.c.name).in_(some))
            query = query.order_by(counters.c.subject, counters.c.name).with_for_update()
            rows.update({(row.subject, row.name): row for row in connection.execute(query)})
        if len(rows) < len(wanted):
            self._known.clear()
            raise NoResultFound("counters that were there are gone")  # the database was put back from a backup
        return rows

    def _standings(self, connection: Connection, statements: Sequence[Statement]) -> dict[Counter, Standing]:
        """What the worker states is taken down in them; a counter whose window is over begins anew."""
        rows = self._lock(connection, [statement.counter for statement in statements])
        before: dict[Counter, Row[Any]] = {}
        for some in _batches(rows):
            query = select(leases).where(
                leases.c.instance == self._instance, tuple_(leases.c.subject, leases.c.name).in_(some)
            )
            before.update({(row.subject, row.name): row for row in connection.execute(query)})
        standings = {}
        for statement in statements:
            row, lease = rows[statement.counter], before.get(statement.counter)
            standing = Standing(statement, row.starts_at, row.counted, row.wanted_until, held=0)
            if standing.starts_at < statement.window.starts_at:
                standing.starts_at, standing.counted, standing.wanted_until = statement.window.starts_at, 0, 0
            if lease is not None and lease.starts_at == standing.starts_at:
                standing.held = lease.held
            if standing.starts_at == statement.window.starts_at:
                standing.add(statement.held - standing.held)
            standings[statement.counter] = standing
        return standings

    def _open_elsewhere(
        self, connection: Connection, lacking: Collection[Counter], standings: Mapping[Counter, Standing], now_us: int
    ) -> dict[Counter, _Elsewhere]:
        is_alive = workers.c.seen_at >= now_us - DEAD_US
        elsewhere: dict[Counter, _Elsewhere] = {}
        for some in _batches(lacking):
            query = select(leases).join(workers, leases.c.instance == workers.c.instance).where(is_alive)
            query = query.where(leases.c.instance != self._instance, tuple_(leases.c.subject, leases.c.name).in_(some))
            for lease in connection.execute(query):
                counter = (lease.subject, lease.name)
                if lease.starts_at == standings[counter].starts_at and lease.held > lease.used:
                    before = elsewhere.get(counter, _Elsewhere(0, lease.told_at))
                    open_there = before.open + lease.held - lease.used
                    elsewhere[counter] = _Elsewhere(open_there, min(before.heard_at, lease.told_at))
        return elsewhere

    def _write(self, connection: Connection, standings: Mapping[Counter, Standing], now_us: int) -> None:
        if not standings:
            return
        connection.execute(_SET_COUNTER, [_counter_row(counter, standing) for counter, standing in standings.items()])
        new = _dialect(connection).insert(leases)
        kept = [
            {
                "instance": self._instance,
                "subject": subject,
                "name": name,
                "starts_at": standing.starts_at,
                "ends_at": window_of(name, standing.starts_at).ends_at,
                "held": standing.held,
                "used": standing.held - standing.open,
                "told_at": now_us,
            }
            for (subject, name), standing in standings.items()
            if not standing.statement.is_last
        ]
        if kept:
            keys = ["instance", "subject", "name"]
            changed = {column: new.excluded[column] for column in ("starts_at", "ends_at", "held", "used", "told_at")}
            connection.execute(new.on_conflict_do_update(index_elements=keys, set_=changed), kept)
        for some in _batches([counter for counter, standing in standings.items() if standing.statement.is_last]):
            connection.execute(
                delete(leases).where(
                    leases.c.instance == self._instance, tuple_(leases.c.subject, leases.c.name).in_(some)
                )
            )


_SET_COUNTER = (
    update(counters)
    .where(counters.c.subject == bindparam("of_subject"), counters.c.name == bindparam("of_name"))
    .values(
        starts_at=bindparam("to_starts_at"), counted=bindparam("to_counted"), wanted_until=bindparam("to_wanted_until")
    )
)


def _counter_row(counter: Counter, standing: Standing) -> dict[str, Any]:
    return {
        "of_subject": counter[0],
        "of_name": counter[1],
        "to_starts_at": standing.starts_at,
        "to_counted": standing.counted,
        "to_wanted_until": standing.wanted_until,
    }


def _add(connection: Connection, rows: Mapping[Counter, Row[Any]], changes: Mapping[Counter, int]) -> None:
    """To what is counted, in the transaction that has locked `rows`."""
    for (subject, name), change in changes.items():
        counted = min(max(rows[subject, name].counted + change, 0), FOREVER)
        is_it = (counters.c.subject == subject, counters.c.name == name)
        connection.execute(update(counters).where(*is_it).values(counted=counted))


def _refusal(standing: Standing, need: Need, elsewhere: Mapping[Counter, _Elsewhere], now_us: int) -> Refusal:
    others = elsewhere.get(need.counter)
    retry = retry_after_s(standing, need, others.open if others else 0, now_us)
    return Refusal(need.counter[1], retry, others.heard_at if others else None)


def _existing(connection: Connection, wanted: Collection[Counter]) -> set[Counter]:
    """Those that were ever counted: an account without a limit has no counter."""
    found: set[Counter] = set()
    for some in _batches(wanted):
        query = select(counters.c.subject, counters.c.name)
        found.update(
            (subject, name)
            for subject, name in connection.execute(query.where(tuple_(counters.c.subject, counters.c.name).in_(some)))
        )
    return found


def _dialect(connection: Connection) -> Any:
    """Both say `insert ... on conflict` in one way, and SQLAlchemy in two."""
    return postgresql if connection.dialect.name == "postgresql" else sqlite


def _batches(wanted: Collection[Counter]) -> Iterator[list[Counter]]:
    in_order = sorted(wanted)
    for start in range(0, len(in_order), _AT_ONCE):
        yield in_order[start : start + _AT_ONCE]
