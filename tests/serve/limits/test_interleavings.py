"""Any order of reserving, settling, reporting, crashing and recovering, of several workers, on one database.

The machine keeps its own books of what calls really used, and holds the counters against them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, event, select

from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade
from stillroom.serve.limits.bound import Bound, Counter, LimitName, window_of
from stillroom.serve.limits.decision import Need
from stillroom.serve.limits.leases import Ask, Leases, Reservation, Statement
from stillroom.serve.limits.ledger import Answer, Ledger
from stillroom.serve.limits.tables import limit_counters

START_US = 1_700_000_000_000_000
BOUNDS = (
    Bound("acc", "tokens_per_minute", 1000),
    Bound("acc", "concurrent", 5),
    Bound("acc", "nano_usd_per_day", 3000),
    Bound("permit", "permit_calls", 40),
)
LIMITS = {(bound.subject, bound.name): bound.most for bound in BOUNDS}
Fate = Literal["done", "not sent", "answer lost"]


@dataclass(eq=False)
class Made:
    """One call, as the log would have it."""

    reservation: Reservation
    amounts: dict[LimitName, int]
    windows: dict[Counter, int]
    """In which window each counter has it down: its start."""
    used: dict[LimitName, int] | None = None
    settled_at: int = 0


@dataclass
class Worker:
    name: str
    ledger: Ledger
    leases: Leases = field(default_factory=Leases)
    calls: list[Made] = field(default_factory=list)
    asked: tuple[list[Statement], list[Ask], dict[LimitName, int], Answer | None] | None = None
    """An exchange on its way."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "gateway.db"
    engine = open_database(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    return file


def counted(engine: Engine) -> dict[Counter, tuple[int, int]]:
    """Counter -> the window's start, what is counted in it."""
    with engine.connect() as connection:
        return {
            (row.subject, row.name): (row.starts_at, row.counted) for row in connection.execute(select(limit_counters))
        }


@contextmanager
def copied(template: Path) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder:
        file = shutil.copyfile(template, Path(folder) / "gateway.db")
        engine = open_database(f"sqlite:///{file}")
        event.listen(engine, "connect", lambda connection, _: connection.execute("pragma synchronous = off"))
        yield engine
        engine.dispose()


class Interleavings(RuleBasedStateMachine):
    template: Path

    @initialize()
    def begin(self) -> None:
        self.database = copied(self.template)
        self.engine = self.database.__enter__()
        self.now_us = START_US
        self.made: list[Made] = []
        self.has_crashed = False
        self.workers = [self._worker(name) for name in ("w0", "w1", "w2")]

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.__exit__(None, None, None)

    def _worker(self, name: str) -> Worker:
        worker = Worker(name, Ledger(self.engine, name))
        worker.ledger.sign_of_life(self.now_us)
        return worker

    @rule(which=st.integers(0, 2), tokens=st.integers(0, 300) | st.integers(0, 20), cost=st.integers(0, 50))
    def reserve(self, which: int, tokens: int, cost: int) -> None:
        """From memory, or with an exchange that is then on its way."""
        worker = self.workers[which]
        amounts: dict[LimitName, int] = {
            "tokens_per_minute": tokens,
            "concurrent": 1,
            "nano_usd_per_day": cost,
            "permit_calls": 1,
        }
        reservation = worker.leases.try_reserve(BOUNDS, amounts, self.now_us)
        if reservation is not None:
            self._note(worker, reservation, amounts)
        elif worker.asked is None:
            ask = worker.leases.ask(BOUNDS, amounts, self.now_us)
            worker.asked = worker.leases.statements([ask], self.now_us), [ask], amounts, None

    @rule(which=st.integers(0, 2), everything=st.booleans())
    def report(self, which: int, everything: bool) -> None:
        worker = self.workers[which]
        if worker.asked is None:
            changed = worker.leases.changed(list(worker.leases.by_counter), self.now_us, everything=everything)
            worker.asked = worker.leases.report(changed, self.now_us), [], {}, None

    @rule(which=st.integers(0, 2), fate=st.sampled_from(["done", "done", "done", "not sent", "answer lost"]))
    def exchange(self, which: int, fate: Fate) -> None:
        worker = self.workers[which]
        if worker.asked is None:
            return
        statements, asks, amounts, _ = worker.asked
        worker.asked = None
        answer = None
        if fate != "not sent":
            needs = [[Need(*lacking) for lacking in ask.lacking()] for ask in asks]
            answer = worker.ledger.exchange(statements, needs, self.now_us)
        if answer is None or fate == "answer lost":
            worker.leases.not_told(statements)
            for ask in asks:
                worker.leases.refused(ask)
            return
        worker.leases.take_in(statements, answer.given)
        for ask, refusal in zip(asks, answer.refusals, strict=True):
            if refusal is None:
                self._note(worker, worker.leases.granted(ask, answer.given), amounts)
            else:
                worker.leases.refused(ask)

    def _note(self, worker: Worker, reservation: Reservation, amounts: dict[LimitName, int]) -> None:
        windows = {(part.lease.subject, part.lease.name): part.starts_at for part in reservation.parts}
        call = Made(reservation, amounts, windows)
        worker.calls.append(call)
        self.made.append(call)

    @rule(which=st.integers(0, 2), number=st.integers(0, 10), tokens=st.integers(0, 400), cost=st.integers(0, 600))
    def settle(self, which: int, number: int, tokens: int, cost: int) -> None:
        """Also for more than was reserved."""
        worker = self.workers[which]
        if worker.calls:
            call = worker.calls.pop(number % len(worker.calls))
            call.used = {"tokens_per_minute": tokens, "nano_usd_per_day": cost}
            call.settled_at = self.now_us
            worker.leases.settle(call.reservation, call.used, self.now_us)
            worker.leases.settle(call.reservation, {"tokens_per_minute": 10**30}, self.now_us)  # changes nothing

    @rule(seconds=st.sampled_from([0, 0.05, 1.5, 20, 61, 100]))
    def time_passes(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)
        for worker in self.workers:
            worker.ledger.sign_of_life(self.now_us)
        self.workers[0].ledger.free_the_dead(self.now_us)

    @rule(which=st.integers(0, 2))
    def wanted_is_heard(self, which: int) -> None:
        worker = self.workers[which]
        worker.leases.wanted(worker.ledger.wanted(self.now_us))

    @rule(which=st.integers(0, 2))
    def crash_and_recover(self, which: int) -> None:
        """Its calls on the way are counted at their worst, the others at what the log says."""
        dead = self.workers[which]
        self.now_us += 1  # no two things happen in the same microsecond
        mine = {part.lease for call in self.made for part in call.reservation.parts} & set(
            dead.leases.by_counter.values()
        )
        reborn = self.workers[which] = self._worker(dead.name)
        left = reborn.ledger.left_by(dead.name)
        assert left is not None
        actual: dict[Counter, int] = {}
        for call in self.made:
            for part in call.reservation.parts:
                counter = (part.lease.subject, part.lease.name)
                if part.lease in mine and part.lease.name != "concurrent":
                    is_open = call in dead.calls
                    if is_open or call.settled_at >= left.since(*counter):
                        used = part.amount if is_open else (call.used or {}).get(part.lease.name, part.amount)
                        actual[counter] = actual.get(counter, 0) + used
        for call in dead.calls:
            call.used, call.settled_at = dict(call.amounts), self.now_us
        reborn.ledger.recover(dead.name, actual, self.now_us)
        self.has_crashed = True

    @rule()
    def all_is_told(self) -> None:
        """Then what is counted is what was used, to the token. It may be more after a crash, or in a window that is
        over (what calls of it did not use is given back to nobody), and never less.
        """
        for which, worker in enumerate(self.workers):
            self.exchange(which, "done")
            while worker.calls:
                self.settle(which, 0, 50, 90)
            for _ in range(2):
                self.report(which, True)
                self.exchange(which, "done")
        for counter, (starts_at, amount) in counted(self.engine).items():
            used = sum(self._in_window(call, counter, starts_at) for call in self.made)
            is_over = starts_at != window_of(counter[1], self.now_us).starts_at
            assert used <= amount if self.has_crashed or is_over else used == amount, (counter, used, amount)

    def _in_window(self, call: Made, counter: Counter, starts_at: int) -> int:
        """What is beyond the reserved belongs to the window in which it was settled."""
        name = counter[1]
        within = self._within(call, counter, is_open=False)
        used = 0 if name == "concurrent" else (call.used or {}).get(name, call.amounts[name])
        return (within if call.windows[counter] == starts_at else 0) + (
            used - within if window_of(name, call.settled_at).starts_at == starts_at else 0
        )

    @precondition(lambda self: hasattr(self, "workers"))
    @invariant()
    def counters_hold_what_was_used(self) -> None:
        rows = counted(self.engine)
        live = {id(call) for worker in self.workers for call in worker.calls}
        for counter, most in LIMITS.items():
            for starts_at in {call.windows[counter] for call in self.made}:
                within = sum(
                    self._within(call, counter, id(call) in live)
                    for call in self.made
                    if call.windows[counter] == starts_at
                )
                assert within <= most, (counter, within)
                if counter in rows and rows[counter][0] == starts_at:
                    assert within <= rows[counter][1], (counter, within, rows[counter])

    def _within(self, call: Made, counter: Counter, is_open: bool) -> int:
        """What a call took of what was reserved for it."""
        name = counter[1]
        amount = call.amounts[name]
        if is_open:
            return amount
        return 0 if name == "concurrent" else min((call.used or {}).get(name, amount), amount)


def test_no_order_of_events_loses_count(template: Path) -> None:
    Interleavings.template = template
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
