"""Limits as workers use them: several at once, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.exc import OperationalError

from stillroom.base.clock import SystemClock
from stillroom.serve.database.engine import writing
from stillroom.serve.limits.bound import Bound, LimitName, LimitReached, LimitsUnavailable
from stillroom.serve.limits.leases import Reservation
from stillroom.serve.limits.ledger import Ledger
from stillroom.serve.limits.limits import Limits
from stillroom.serve.limits.tables import limit_counters, limit_leases, limit_workers

NOON_US = 1_700_049_600_000_000
"""15 November 2023, 12:00:00 UTC."""
BURST = Path(__file__).with_name("burst.py")
CALLS = "permit_calls"


@pytest.fixture(autouse=True)
def from_noon_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real clock one test in a few hundred would see a minute end, and all limits of it whole again."""
    began_ns = time.monotonic_ns()
    monkeypatch.setattr(time, "time_ns", lambda: NOON_US * 1000 + time.monotonic_ns() - began_ns)


class SetClock(SystemClock):
    """The date is what the test says; seconds pass as they do."""

    def __init__(self, now_us: int = NOON_US) -> None:
        self.set_us = now_us

    def now_us(self) -> int:
        return self.set_us


@asynccontextmanager
async def opened(engine: Engine, *names: str, clock: SetClock | None = None) -> AsyncIterator[list[Limits]]:
    async with AsyncExitStack() as stack:
        workers = []
        for name in names:
            limits = Limits(engine, name, clock)
            await limits.start()
            stack.push_async_callback(limits.close)
            workers.append(limits)
        yield workers


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(within())


def counted(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return connection.execute(select(limit_counters.c.counted).where(limit_counters.c.name == name)).scalar() or 0


def bound(name: LimitName, most: int) -> list[Bound]:
    return [Bound("acc", name, most)]


async def how_many(limits: Limits, bounds: list[Bound], amounts: dict[LimitName, int], calls: int) -> list[Reservation]:
    outcomes = await asyncio.gather(*(limits.reserve(bounds, amounts) for _ in range(calls)), return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, (Reservation, LimitReached)), outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Reservation)]


@pytest.mark.parametrize("name", ["nano_usd_per_month", "concurrent"])
def test_two_hundred_first_calls_on_a_budget_for_ten(database_url: str, name: LimitName) -> None:
    """From two processes at once; then they are killed, and what they held stays counted."""
    cost = 1 if name != "nano_usd_per_month" else 123_457
    orders = [
        {"url": database_url, "worker": worker, "calls": 100, "bounds": [["acc", name, 10 * cost]], "cost": cost}
        for worker in ("w0", "w1")
    ]
    processes = [
        subprocess.Popen([sys.executable, BURST, json.dumps(order)], stdin=-1, stdout=-1, text=True) for order in orders
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        passed = [int(process.stdout.readline()) for process in processes if process.stdout]
        assert sum(passed) == 10
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_what_one_worker_holds_idle_another_one_gets(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0", "w1") as (one, other):
            bounds = bound("concurrent", 100)
            first = await how_many(one, bounds, {"concurrent": 1}, 40)
            for reservation in first:
                one.settle(reservation, {})
            assert len(await how_many(other, bounds, {"concurrent": 1}, 100)) == 100

    run(test)


def test_a_call_settles_for_less_and_the_rest_is_free_for_all(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0", "w1") as (one, other):
            bounds = bound("tokens_per_minute", 100)
            reservation = await one.reserve(bounds, {"tokens_per_minute": 90})
            with pytest.raises(LimitReached) as reached:
                await other.reserve(bounds, {"tokens_per_minute": 50})
            assert reached.value.retry_after_s == 1  # the open call may use less than it holds
            one.settle(reservation, {"tokens_per_minute": 30})
            other.settle(await other.reserve(bounds, {"tokens_per_minute": 70}), {})
        assert counted(engine, "tokens_per_minute") == 100

    run(test)


def test_a_call_that_used_more_is_counted_in_full(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0", "w1") as (one, other):
            bounds = bound("nano_usd_per_day", 100)
            one.settle(await one.reserve(bounds, {"nano_usd_per_day": 10}), {"nano_usd_per_day": 500})
            for limits in (one, other):
                # The other worker hears of it within a moment.
                while passed := await how_many(limits, bounds, {"nano_usd_per_day": 1}, 1):
                    limits.settle(passed[0], {"nano_usd_per_day": 0})
                    await asyncio.sleep(0.01)
            assert counted(engine, "nano_usd_per_day") == 500

    run(test)


@pytest.mark.parametrize(
    ("name", "now_us", "seconds"),
    [
        ("requests_per_minute", NOON_US + 12_300_000, 48),
        ("tokens_per_minute", NOON_US + 59_999_999, 1),
        ("nano_usd_per_day", NOON_US, 12 * 3600),
        ("nano_usd_per_month", NOON_US, 15 * 86400 + 12 * 3600),
        ("permit_calls", NOON_US, None),
        ("permit_tokens", NOON_US, None),
    ],
)
def test_when_to_come_again(engine: Engine, name: LimitName, now_us: int, seconds: int | None) -> None:
    """Windows are minutes, days and months of UTC; then the limit is whole again."""
    clock = SetClock(now_us)

    async def test() -> None:
        async with opened(engine, "w0", clock=clock) as (limits,):
            limits.settle(await limits.reserve(bound(name, 10), {name: 10}), {})
            with pytest.raises(LimitReached) as reached:
                await limits.reserve(bound(name, 10), {name: 1})
            assert reached.value.name == name
            assert reached.value.retry_after_s == seconds
            if seconds is not None:
                clock.set_us += seconds * 1_000_000
                await limits.reserve(bound(name, 10), {name: 10})

    run(test)


def test_all_or_nothing(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            bounds = [Bound("acc", "requests_per_minute", 1000), Bound("acc", "tokens_per_minute", 50)]
            for _ in range(20):
                with pytest.raises(LimitReached) as reached:
                    await limits.reserve(bounds, {"requests_per_minute": 1, "tokens_per_minute": 51})
                assert reached.value.name == "tokens_per_minute"
                assert reached.value.retry_after_s is None  # never fits
            limits.settle(
                await limits.reserve(bounds, {"requests_per_minute": 1, "tokens_per_minute": 50}),
                {"tokens_per_minute": 50},
            )
            with pytest.raises(LimitReached):
                await limits.reserve(bounds, {"requests_per_minute": 1, "tokens_per_minute": 1})
        assert counted(engine, "requests_per_minute") == 1

    run(test)


def test_a_limit_that_is_lowered_holds_at_once(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            for _ in range(10):
                limits.settle(await limits.reserve(bound("permit_calls", 1000), {"permit_calls": 1}), {})
            assert len(await how_many(limits, bound("permit_calls", 12), {"permit_calls": 1}, 20)) == 2

    run(test)


def test_most_calls_ask_no_database(engine: Engine) -> None:
    exchanges = 0

    def count(*_: object) -> None:
        nonlocal exchanges
        exchanges += 1

    async def test() -> None:
        nonlocal exchanges
        async with opened(engine, "w0") as (limits,):
            bounds = [Bound("acc", "requests_per_minute", 10**6), Bound("acc", "concurrent", 1000)]
            event.listen(engine, "commit", count)
            for _ in range(2000):
                reservation = await limits.reserve(bounds, {"requests_per_minute": 1, "concurrent": 1})
                limits.settle(reservation, {})
            event.remove(engine, "commit", count)

    run(test)
    assert exchanges < 100


def test_a_client_that_gives_up_while_it_waits_holds_nothing(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            bounds = bound("concurrent", 20)
            for delay in range(60):
                call = asyncio.create_task(limits.reserve(bounds, {"concurrent": 1}))
                for _ in range(delay % 7):
                    await asyncio.sleep(0)
                await asyncio.sleep((delay % 5) / 1000)
                call.cancel()
                (outcome,) = await asyncio.gather(call, return_exceptions=True)
                if isinstance(outcome, Reservation):
                    limits.settle(outcome, {})
            assert len(await how_many(limits, bounds, {"concurrent": 1}, 30)) == 20

    run(test)


def test_calls_of_a_dead_worker_are_no_longer_open(engine: Engine) -> None:
    clock = SetClock()

    async def test() -> None:
        dead = Limits(engine, "w0", clock)
        await dead.start()
        assert len(await how_many(dead, bound("concurrent", 10), {"concurrent": 1}, 10)) == 10
        await how_many(dead, bound("nano_usd_per_day", 100), {"nano_usd_per_day": 10}, 3)
        assert dead._books is not None
        dead._books.cancel()  # as if it had been killed
        async with opened(engine, "w1", clock=clock) as (alive,):
            with pytest.raises(LimitReached) as reached:
                await alive.reserve(bound("concurrent", 10), {"concurrent": 1})
            assert reached.value.retry_after_s == 1
            clock.set_us += 11_000_000
            while len(await how_many(alive, bound("concurrent", 10), {"concurrent": 1}, 10)) < 10:
                await asyncio.sleep(0.1)
            assert counted(engine, "nano_usd_per_day") == 30
            # Its money is known by its log alone.
            left = await alive.left_by("w0")
            assert left is not None
            assert left.since("acc", "nano_usd_per_day") == NOON_US
            await alive.recover("w0", {("acc", "nano_usd_per_day"): 17})
            assert counted(engine, "nano_usd_per_day") == 17
            assert await alive.left_by("w0") is None
            await alive.recover("w0", {("acc", "nano_usd_per_day"): 0})  # nothing left to end
            assert counted(engine, "nano_usd_per_day") == 17

    run(test)


def test_a_log_that_cannot_say_leaves_all_counted(engine: Engine) -> None:
    async def test() -> None:
        dead = Limits(engine, "w0")
        await dead.start()
        await how_many(dead, bound("permit_tokens", 100), {"permit_tokens": 10}, 3)
        assert dead._books is not None
        dead._books.cancel()
        async with opened(engine, "w0") as (reborn,):
            await reborn.recover("w0", None)
            assert counted(engine, "permit_tokens") == 30

    run(test)


def test_a_worker_that_was_given_up_counts_its_open_calls_again(engine: Engine) -> None:
    """It stood still for longer than a dead one may, and others freed what it held open."""

    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            open_calls = await how_many(limits, bound("concurrent", 10), {"concurrent": 1}, 4)
            another = Ledger(engine, "w1")
            while counted(engine, "concurrent"):  # it may give a sign of life in between
                with writing(engine) as connection:
                    connection.execute(update(limit_workers).values(seen_at=1))
                another.free_the_dead(20_000_000)
            limits._touched_at -= 11  # the seconds that it missed
            while counted(engine, "concurrent") != 4:
                await asyncio.sleep(0.05)
            for reservation in open_calls:
                limits.settle(reservation, {})
        assert counted(engine, "concurrent") == 0

    run(test)


def test_closing_gives_everything_back(engine: Engine) -> None:
    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            for name, used in (("requests_per_minute", 1), ("nano_usd_per_month", 3), ("concurrent", 1)):
                amounts: dict[Any, int] = {name: 5 if used == 3 else 1}
                limits.settle(await limits.reserve([Bound("acc", name, 1000)], amounts), {"nano_usd_per_month": used})  # type: ignore[arg-type]
        assert counted(engine, "nano_usd_per_month") == 3
        assert counted(engine, "concurrent") == 0
        with engine.connect() as connection:
            assert connection.execute(select(limit_leases)).all() == []
            assert connection.execute(select(limit_workers)).all() == []
        with pytest.raises(LimitsUnavailable):
            await limits.reserve(bound("concurrent", 1), {"concurrent": 1})

    run(test)


def test_without_the_database_nobody_passes(engine: Engine) -> None:
    """Until it is back; what memory still holds is no way in for long."""

    def refuse(*_: object) -> None:
        raise OperationalError("the database is gone", None, Exception())

    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            held = await limits.reserve(bound("permit_calls", 1000), {"permit_calls": 1})
            event.listen(engine, "begin", refuse)
            with pytest.raises(LimitsUnavailable, match="cannot be reached"):
                await limits.reserve(bound("tokens_per_minute", 1000), {"tokens_per_minute": 1})
            limits.settle(held, {"permit_calls": 1})  # never fails
            limits._touched_at -= 6  # the seconds that it could not reach it
            assert limits.try_reserve(bound("permit_calls", 1000), {"permit_calls": 1}) is None
            with pytest.raises(LimitsUnavailable):
                await limits.reserve(bound("permit_calls", 1000), {"permit_calls": 1})
            event.remove(engine, "begin", refuse)
            limits.settle(await limits.reserve(bound("permit_calls", 1000), {"permit_calls": 1}), {})
        assert counted(engine, "permit_calls") == 2

    run(test)


def test_amounts_that_are_no_use(engine: Engine) -> None:
    """A request may name any number; an upstream may report any."""

    async def test() -> None:
        async with opened(engine, "w0") as (limits,):
            bounds = bound("tokens_per_minute", 2**62)
            with pytest.raises(LimitReached):
                await limits.reserve(bounds, {"tokens_per_minute": 10**40})
            limits.settle(await limits.reserve(bounds, {"tokens_per_minute": 5}), {"tokens_per_minute": 10**40})
            with pytest.raises(LimitReached):
                await limits.reserve(bounds, {"tokens_per_minute": 1})
            minute = bound("permit_tokens", 10)
            limits.settle(await limits.reserve(minute, {"permit_tokens": 5}), {"permit_tokens": -(10**40)})
            assert len(await how_many(limits, minute, {"permit_tokens": 5}, 4)) == 2
            nothing = bound("permit_calls", 0)
            with pytest.raises(LimitReached):
                await limits.reserve(nothing, {"permit_calls": 1})
            assert await how_many(limits, nothing, {"permit_calls": 0}, 1)

    run(test)
