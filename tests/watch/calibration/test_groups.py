"""Who is alarmed on more than others is told, and it takes more than chance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stillroom.watch.calibration.groupings import busiest_hours, shared_addresses
from stillroom.watch.calibration.groups import group_report
from stillroom.watch.tables import ACTIVITY, HOURS
from stillroom.watch.window import KEYS

WATCHED = {f"org{number}" for number in range(1_000)}
LANGUAGES = {name: "Swahili" if int(name[3:]) < 100 else "English" for name in WATCHED if name != "org999"}


def test_a_language_that_is_accused_more_stands_out() -> None:
    alarms = {f"org{number}" for number in range(8)} | {"org500"}
    report = group_report("language", LANGUAGES, alarms, WATCHED, weeks=2)
    assert [each.group for each in report.groups] == ["Swahili", "English", "unknown"]
    assert [each.stands_out for each in report.groups] == [True, False, False]
    assert report.groups[0].share.share == 0.08
    assert report.sentence == "By language, alarmed on more than the others: Swahili."


def test_a_single_alarm_makes_no_group_stand_out() -> None:
    report = group_report("language", LANGUAGES, {"org1"}, WATCHED, weeks=2)
    assert not any(each.stands_out for each in report.groups)
    assert "no group is alarmed on more" in report.sentence


def test_chance_rarely_makes_any_of_many_groups_stand_out() -> None:
    draw = np.random.default_rng(8)
    hours = {name: str(int(name[3:]) % 6) for name in WATCHED}
    reports = [
        group_report("hour", hours, set(draw.choice(sorted(WATCHED), 20, replace=False)), WATCHED, weeks=2)
        for _ in range(20)
    ]
    assert sum(any(each.stands_out for each in report.groups) for report in reports) <= 2


def test_one_group_of_all_is_compared_with_nobody() -> None:
    report = group_report("hour", {}, {"org1"}, WATCHED, weeks=2)
    assert [(each.group, each.p_value) for each in report.groups] == [("unknown", 1.0)]


def activity(*rows: tuple[str, str, dict[int, int]]) -> pa.Table:
    """Account, organisation, and calls by hour."""
    empty = dict.fromkeys(ACTIVITY.names, None)
    return pa.Table.from_pylist(
        [
            {**empty, "account": account, "organisation": organisation, "day": day}
            | {name: calls.get(hour, 0) for hour, name in enumerate(HOURS)}
            for day, (account, organisation, calls) in enumerate(rows)
        ],
        schema=ACTIVITY,
    )


def keys(*rows: tuple[str, str, str]) -> pa.Table:
    """Account, kind and value."""
    filled = [
        {"account": account, "kind": kind, "value": value, "calls": 1, "first_day": 0, "last_day": 0}
        for account, kind, value in rows
    ]
    return pa.Table.from_pylist(filled, schema=KEYS)


def test_the_busiest_hours_are_those_of_all_accounts_and_days() -> None:
    rows = activity(
        ("a1", "a", {9: 5, 13: 8}), ("a1", "a", {9: 5}), ("a2", "a", {10: 1}), ("b", "b", {23: 1}), ("c", "c", {})
    )
    assert busiest_hours(rows) == {"a": "08 to 12", "b": "20 to 24", "c": "unknown"}


def test_who_shares_an_address_with_whom() -> None:
    office: list[tuple[str, str, dict[int, int]]] = [(f"o{number}", f"office{number}", {}) for number in range(12)]
    rows = activity(*office, ("a1", "a", {}), ("a2", "a", {}), ("b", "b", {}), ("c", "c", {}), ("d", "d", {}))
    shared = keys(
        *[(account, "ip", "0123456789abcdef") for account, _, _ in office],
        ("o1", "ip", "home"),
        ("a1", "ip", "own"),
        ("a2", "ip", "own"),  # two accounts of one organisation share nothing with anybody
        ("b", "ip", "cafe"),
        ("c", "ip", "cafe"),
        ("d", "tls", "cafe"),
    )
    groups = shared_addresses(shared, rows)
    assert {groups[f"office{number}"] for number in range(12)} == {"address 01234567"}
    assert groups["a"] == "own addresses"
    assert groups["b"] == groups["c"] == "shared address"
    assert groups["d"] == "unknown"
