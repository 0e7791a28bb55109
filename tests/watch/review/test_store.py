"""The store of findings: what is decided is never lost, and a campaign stays one while its accounts are replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import StoreError, UsageError
from stillroom.base.records import Finding, FindingSignal
from stillroom.watch.review.database import FILE
from stillroom.watch.review.found import Found, Member
from stillroom.watch.review.store import FindingStore

FindingMaker = Callable[..., Finding]


def test_what_is_put_is_kept_as_it_is(store: FindingStore, make_finding: FindingMaker) -> None:
    member = Member("acct_1", "org_1", 30, 2, 5, 9, {"gsm8k": 4}, frozenset({"billing"}))
    chart = {"mark": "bar", "data": {"values": [1.5, None]}}
    found = Found(make_finding(), (chart,), (member,), frozenset({"payment:billing:ab"}))
    assert store.put_all([found]) == ["f_1"]
    kept = FindingStore(store.watch).get("f_1")
    assert kept.finding == found.finding
    assert kept.members == (member,)
    assert store.charts("f_1") == (chart,)
    assert [(step.step, step.by, step.detail) for step in store.history("f_1")] == [("found", None, {"accounts": 41})]


def test_a_decision_stays_whatever_is_put(store: FindingStore, make_finding: FindingMaker, clock: Any) -> None:
    store.put(make_finding())
    step = store.decide("f_1", "dismiss", by="ada", reason="A customer's own test, see ticket 9.")
    assert (step.step, step.by, step.reason, step.version) == (
        "dismissed",
        "ada",
        "A customer's own test, see ticket 9.",
        1,
    )
    for day in range(3):
        clock.pass_days(1)
        store.put(make_finding(calls=8_000 + day, score=20.0 + day, status="open"))
    kept = store.get("f_1")
    assert (kept.finding.status, kept.finding.calls, kept.decision) == ("dismissed", 8_002, step)
    assert not kept.needs_decision
    assert [score for _, score in store.scores("f_1")] == [14.25, 20.0, 21.0, 22.0]
    store.decide("f_1", "confirm", by="grace", reason="It was none.")
    assert store.get("f_1").finding.status == "confirmed"
    assert [step.step for step in store.history("f_1")] == ["found", "dismissed", "confirmed"]


def test_new_accounts_call_for_another_look(store: FindingStore, make_finding: FindingMaker, clock: Any) -> None:
    store.put(make_finding(accounts=range(41)))
    store.decide("f_1", "dismiss", by="ada", reason="known")
    clock.pass_days(7)
    network = FindingSignal("networks", "network", 3.0, 0.5, "They share 3 addresses.")
    grown = make_finding("f_new", accounts=range(5, 50))
    assert store.put(grown) == "f_1"
    kept = store.get("f_1")
    assert kept.needs_decision
    assert kept.since_decision == ("9 accounts have come to it.",)
    clock.pass_days(7)
    assert store.put(make_finding("f_2", accounts=range(5, 50), signals=(*grown.signals, network))) == "f_1"
    assert store.get("f_1").since_decision == ("9 accounts have come to it.", "Its network evidence is new.")
    assert [step.detail["said"] for step in store.history("f_1") if step.step == "changed"] == [
        ["9 accounts have come to it."],
        ["Its network evidence is new."],
    ]
    store.decide("f_1", "confirm", by="ada", reason="It goes on.")
    assert not store.get("f_1").needs_decision


def test_a_campaign_is_known_by_what_links_it(store: FindingStore, make_finding: FindingMaker) -> None:
    """Its accounts are replaced at once; one family of links alone is not enough."""
    values = frozenset({"payment:billing:ab", "network:ip:cd", "network:ip:ef"})
    store.put_all([Found(make_finding("f_1", accounts=range(10)), link_values=values)])
    other = Found(
        make_finding("f_2", accounts=range(20, 30)), link_values=frozenset({"network:ip:cd", "network:ip:ef"})
    )
    assert store.put_all([other]) == ["f_2"]
    heir = Found(
        make_finding("f_3", accounts=range(40, 50)), link_values=frozenset({"payment:billing:ab", "network:ip:cd"})
    )
    assert store.put_all([heir]) == ["f_1"]
    assert len(store.list()) == 2


def test_a_campaign_that_splits_is_two(store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding("f_1", accounts=range(40)))
    parts = [Found(make_finding("f_2", accounts=range(10))), Found(make_finding("f_3", accounts=range(10, 40)))]
    assert store.put_all(parts) == ["f_2", "f_1"]
    assert store.put(make_finding("f_4", accounts=range(100, 140))) == "f_4"


def test_an_organisation_s_own_finding_stays_its_own(store: FindingStore, make_finding: FindingMaker) -> None:
    first = make_finding("f_1", kind="account", organisations=("org_1",), accounts=range(1))
    later = make_finding("f_2", kind="account", organisations=("org_1",), accounts=range(7, 9))
    assert [store.put(first), store.put(later), store.put(make_finding("f_3", accounts=range(1)))] == [
        "f_1",
        "f_1",
        "f_3",
    ]


def test_one_version_a_day_and_those_decided_on(store: FindingStore, make_finding: FindingMaker, clock: Any) -> None:
    for hour in range(24):
        store.put(make_finding(calls=hour, score=float(hour)))
        if hour == 5:
            store.decide("f_1", "ask", by="ada", reason="We wrote to them.", version=6)
        clock.pass_days(1 / 24)
    assert [score for _, score in store.scores("f_1")] == [0.0, 5.0, 23.0]
    before = store.get("f_1")
    store.put(make_finding(calls=23, score=23.0, since_at=0, found_at=clock.now_us()))
    after = store.get("f_1")
    assert (after.version, after.finding.found_at) == (24, before.finding.found_at)
    assert after.last_at > before.last_at


def test_who_decides_has_seen_what_there_is(store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())
    store.put(make_finding(calls=9_000))
    with pytest.raises(UsageError, match="has changed since"):
        store.decide("f_1", "confirm", by="ada", reason="sure", version=1)
    store.decide("f_1", "confirm", by="ada", reason="sure", version=2)


def test_what_a_person_can_get_wrong(store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())
    for by, reason in (("ada", "  "), (" ", "why"), ("", "")):
        with pytest.raises(UsageError, match="reason and a name"):
            store.decide("f_1", "confirm", by=by, reason=reason)
    for act in (store.get, store.charts, store.scores, store.history):
        with pytest.raises(UsageError, match="no finding 'f_9'"):
            act("f_9")
    with pytest.raises(UsageError, match="no finding"):
        store.decide("f_9", "confirm", by="ada", reason="why")
    with pytest.raises(UsageError, match="no decision"):
        store.decide("f_1", "close", by="ada", reason="why")  # type: ignore[arg-type]
    assert len(store.history("f_1")) == 1


def test_the_ones_to_decide_on_come_first(store: FindingStore, make_finding: FindingMaker) -> None:
    for number, score in enumerate((3.0, 9.0, 5.0)):
        store.put(make_finding(f"f_{number}", accounts=range(100 * number, 100 * number + 9), score=score))
    store.decide("f_1", "dismiss", by="ada", reason="known")
    assert [kept.finding.id for kept in store.list()] == ["f_2", "f_0", "f_1"]
    assert [kept.finding.id for kept in store.list("dismissed")] == ["f_1"]


def test_many_at_once_lose_nothing(store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())

    def work(number: int) -> None:
        mine = FindingStore(store.watch)
        for turn in range(5):
            mine.put(make_finding(calls=100 * number + turn))
            mine.decide("f_1", "ask", by=f"person {number}", reason=f"turn {turn}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    steps = [(step.by, step.reason) for step in store.history("f_1") if step.step == "asked"]
    assert sorted(steps) == [(f"person {number}", f"turn {turn}") for number in range(4) for turn in range(5)]
    assert store.get("f_1").decision == store.history("f_1")[-1]


def test_what_is_no_text(store: FindingStore, make_finding: FindingMaker) -> None:
    """What a terminal gives for bytes that are no UTF-8."""
    store.put(make_finding())
    with pytest.raises(UsageError, match="no text"):
        store.decide("f_1", "confirm", by="ada", reason="\udcff")
    with pytest.raises(UsageError, match="no text"):
        store.get("\udcff")
    assert len(store.history("f_1")) == 1


def test_steps_cannot_be_changed_or_deleted(store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())
    store.decide("f_1", "confirm", by="ada", reason="sure")
    connection = sqlite3.connect(store.watch / FILE)
    for statement in ("update steps set by = 'eve'", "delete from steps", "delete from steps where number = 2"):
        with pytest.raises(sqlite3.DatabaseError, match="only ever added"):
            connection.execute(statement)
    connection.close()


def test_a_file_that_cannot_be_used(tmp_path: Path, make_finding: FindingMaker) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        FindingStore(tmp_path)
    newer = FindingStore(tmp_path / "newer")
    newer.put(make_finding())
    connection = sqlite3.connect(newer.watch / FILE)
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer stillroom"):
        FindingStore(tmp_path / "newer")


@pytest.mark.parametrize(
    "damage",
    [
        "update versions set written = '['",
        "update versions set written = '{}'",
        """update versions set written = replace(written, '"score":', '"score":"x","was":')""",
        """update versions set written = replace(written, '"since_at":', '"since_at":-1,"was":')""",
        "update versions set written = x'80ff'",
        "delete from versions",
        "update findings set members = '[{}]'",
        "update findings set members = '{'",
        "update findings set first_at = 999999999999999999",
        "update findings set last_at = 'x'",
    ],
)
def test_a_finding_that_was_damaged_is_said(store: FindingStore, make_finding: FindingMaker, damage: str) -> None:
    store.put(make_finding())
    with closing(sqlite3.connect(store.watch / FILE)) as connection, connection:
        connection.execute(damage)
    for read in (store.list, lambda: store.get("f_1")):
        with pytest.raises(StoreError, match=r"Restore review\.sqlite from a backup"):
            read()


@pytest.mark.parametrize("charts", ["[", "[1]", "{}", "3"])
def test_charts_that_were_damaged_are_said(store: FindingStore, make_finding: FindingMaker, charts: str) -> None:
    store.put(make_finding())
    with closing(sqlite3.connect(store.watch / FILE)) as connection, connection:
        connection.execute("update findings set charts = ?", [charts])
    with pytest.raises(StoreError, match=r"Restore review\.sqlite from a backup"):
        store.charts("f_1")
