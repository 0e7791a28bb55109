"""Drills: what is found of them is told apart from what is found, and gives recall and days."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stillroom.base.errors import UsageError
from stillroom.base.records import Finding
from stillroom.watch.drill import Drills
from stillroom.watch.drill_report import drill_report
from stillroom.watch.review.database import FILE
from stillroom.watch.review.store import FindingStore

DAY_US = 86_400_000_000
START = 20_600 * DAY_US


class HandClock:
    now = START

    def now_us(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1e6

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> FindingStore:
    return FindingStore(tmp_path, clock)


@pytest.fixture
def drills(tmp_path: Path, clock: HandClock) -> Drills:
    return Drills(tmp_path, clock)


def finding(name: str, accounts: list[str], day: float) -> Finding:
    """Found `day` days after the start, in a window of 28 days."""
    at = START + round(day * DAY_US)
    return Finding(
        id=name,
        kind="campaign",
        accounts=tuple(accounts),
        organisations=tuple(accounts),
        since_at=at - 28 * DAY_US,
        until_at=at,
        found_at=at,
        score=5.0,
        alarm_rate=None,
        signals=(),
        links=(),
        explanations=(),
        against=(),
        calls=10,
        questions=None,
        permits=(),
        permitted_calls=0,
        calls_root=None,
        detector_version="1",
    )


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def add(drills: Drills, name: str, accounts: list[str], since: int = 1, until: int = 15) -> None:
    drills.add(
        name, accounts, since_at=START + since * DAY_US, until_at=START + until * DAY_US, by="ada", reason="recall"
    )


def test_what_is_found_of_a_drill_alone_is_the_drill(store: FindingStore, drills: Drills, clock: HandClock) -> None:
    add(drills, "May", names("d", 10))
    clock.now += 5 * DAY_US
    store.put(finding("f_1", names("d", 8), 5))
    store.put(finding("f_2", [*names("d", 8), "stranger"][7:], 5))
    kept = store.get("f_1")
    assert (kept.finding.status, kept.drill, kept.needs_decision) == ("drill", "May", False)
    assert store.get("f_2").finding.status == "open"
    with pytest.raises(UsageError, match="is the drill 'May'"):
        store.decide("f_1", "confirm", by="ada", reason="ours")
    clock.now += DAY_US
    store.put(finding("f_1", [*names("d", 8), "stranger"], 6))
    assert (store.get("f_1").finding.status, store.get("f_1").drill) == ("open", None)


def test_no_drill_hushes_up_what_was_found_before(store: FindingStore, drills: Drills, clock: HandClock) -> None:
    store.put(finding("f_1", names("d", 8), 0))
    clock.now += 1
    with pytest.raises(UsageError, match="before it begins"):
        add(drills, "late", names("d", 8), since=-20)
    store.put(finding("f_1", names("d", 8), 1))
    assert store.get("f_1").finding.status == "open"
    store.put(replace(finding("f_2", names("e", 3), 1), status="drill"))
    assert store.get("f_2").finding.status == "open"


def test_a_drill_ends(store: FindingStore, drills: Drills, clock: HandClock) -> None:
    """The accounts of a drill that do something else afterwards are accounts like all others."""
    add(drills, "May", names("d", 10), until=3)
    clock.now += 40 * DAY_US
    store.put(finding("f_1", names("d", 10), 40))
    assert store.get("f_1").finding.status == "open"


def test_recall_and_days(store: FindingStore, drills: Drills, clock: HandClock, tmp_path: Path) -> None:
    assert drill_report(tmp_path, clock).recall is None
    for name in ("a", "b", "c", "d"):
        add(drills, name, names(name, 10), until=100 if name in "cd" else 15)
    clock.now += 8 * DAY_US
    store.put(finding("f_a", names("a", 4), 8))
    store.put(finding("f_x", ["x1", "x2", "b1"], 8))
    clock.now += DAY_US
    store.put(finding("f_a", [*names("a", 9), "x9"], 9))
    clock.now += 10 * DAY_US
    store.put(finding("f_d", names("d", 10), 19))
    report = drill_report(tmp_path, clock)
    found = {outcome.drill.id: outcome for outcome in report.outcomes}
    assert (found["a"].accounts_found, found["a"].strangers, found["a"].days_until_seen) == (9, 1, 8.0)
    assert (found["b"].accounts_found, found["b"].strangers, found["b"].is_seen) == (1, 2, False)
    assert (found["c"].findings, found["c"].is_over, found["c"].is_seen) == ((), False, False)
    assert (found["d"].findings, found["d"].days_until_seen) == (("f_d",), 18.0)
    assert (report.seen, report.over, report.recall) == (2, 3, 2 / 3)
    assert report.low is not None
    assert report.high is not None
    assert (round(report.low, 3), round(report.high, 3)) == (0.094, 0.992)


def test_what_a_person_can_get_wrong(drills: Drills, tmp_path: Path) -> None:
    add(drills, "May", ["a"])
    for name, accounts, since, until, reason in (
        ("May", ["a"], 0, 1, "why"),
        (" ", ["a"], 0, 1, "why"),
        ("June", [], 0, 1, "why"),
        ("June", ["a"], 1, 1, "why"),
        ("June", ["a"], 0, 1, " "),
    ):
        with pytest.raises(UsageError):
            drills.add(name, accounts, since_at=since, until_at=until, by="ada", reason=reason)
    assert [(drill.id, drill.by, drill.registered_at) for drill in drills.list()] == [("May", "ada", START)]
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, pytest.raises(sqlite3.DatabaseError, match="added"):
        connection.execute("update drills set accounts = '[]'")
