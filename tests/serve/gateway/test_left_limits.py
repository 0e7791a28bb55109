"""What a killed worker had used and not told is counted from its log."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from stillroom.base.records import Call
from stillroom.serve.gateway.admission import amounts
from stillroom.serve.gateway.left_limits import recover_limits
from stillroom.serve.limits.bound import Bound
from stillroom.serve.limits.leases import Reservation
from stillroom.serve.limits.limits import Limits
from stillroom.serve.limits.tables import limit_counters
from stillroom.serve.meter.segment_file import SegmentFile, begun_line, settled_line

BOUNDS = [
    Bound("acct_1", "requests_per_minute", 2**40),
    Bound("acct_1", "concurrent", 100),
    Bound("acct_1", "nano_usd_per_month", 10**12),
    Bound("permit:permit_1", "permit_tokens", 10**6),
]
MOST = {**amounts(1000, 1000, None), "nano_usd_per_day": 10**9, "nano_usd_per_month": 10**9}


def call_of(call_id: str) -> Call:
    known: dict[str, Any] = {"call_id": call_id, "at": 1, "account": "acct_1", "model": "m", "route": "chat"}
    required = [field.name for field in fields(Call) if field.default is MISSING]
    return Call(**{**dict.fromkeys(required), **known, "permit_id": "permit_1"})


def counted(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.name: row.counted for row in connection.execute(select(limit_counters))}


async def work_and_die(engine: Engine, folder: Path, *, unknown: int) -> None:
    """Three calls settled before a report, two after it, and some that are open when the worker is killed."""
    limits = Limits(engine, "w0")
    await limits.start()
    segment = SegmentFile.prepare(folder, 1, time.time_ns() // 1000)
    segment.publish()
    held: list[tuple[Call, Reservation]] = []
    for number in range(5 + unknown):
        call = call_of(f"c{number}")
        held.append((call, await limits.reserve(BOUNDS, MOST)))
        segment.append(begun_line(call))

    def settle(call: Call, reservation: Reservation) -> None:
        call.prompt_tokens, call.completion_tokens, call.cost_usd, call.status = 10, 20, "0.000003", "ok"
        segment.append(settled_line(call))
        limits.settle(reservation, {**amounts(10, 20, None), "nano_usd_per_month": 3000})

    for call, reservation in held[:3]:
        settle(call, reservation)
    await limits._report(everything=False)
    for call, reservation in held[3:5]:
        settle(call, reservation)
    assert limits._books is not None
    limits._books.cancel()
    segment.close()
    os.utime(folder / "lock", (0, 0))


@pytest.fixture(autouse=True)
def from_noon_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real clock one test in a few hundred would see a minute end, and its requests counted no more."""
    began_ns, noon_ns = time.monotonic_ns(), 1_700_049_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: noon_ns + time.monotonic_ns() - began_ns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "calls" / "w0"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    return folder


async def start_again(engine: Engine, folder: Path) -> None:
    limits = Limits(engine, "w0")
    await limits.start()
    await recover_limits(limits, "w0", folder)
    await recover_limits(limits, "w0", folder)  # there is nothing left to recover
    await limits.close()


def test_what_the_log_says_is_counted(engine: Engine, folder: Path) -> None:
    asyncio.run(work_and_die(engine, folder, unknown=0))
    asyncio.run(start_again(engine, folder))
    assert counted(engine) == {
        "requests_per_minute": 5,
        "concurrent": 0,
        "nano_usd_per_month": 15_000,
        "permit_tokens": 150,
    }


def test_calls_without_an_outcome_stay_counted_at_their_most(engine: Engine, folder: Path) -> None:
    asyncio.run(work_and_die(engine, folder, unknown=2))
    asyncio.run(start_again(engine, folder))
    after = counted(engine)
    assert after["concurrent"] == 0
    assert after["nano_usd_per_month"] >= 15_000 + 2 * 10**9
    assert after["permit_tokens"] >= 150 + 2 * 2000


def test_a_log_that_was_sealed_meanwhile_cannot_say(engine: Engine, folder: Path) -> None:
    asyncio.run(work_and_die(engine, folder, unknown=0))
    before = counted(engine)
    (folder / "calls-00000001.parquet").touch()
    asyncio.run(start_again(engine, folder))
    assert counted(engine) == {**before, "concurrent": 0}
