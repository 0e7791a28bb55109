from __future__ import annotations

import json

import pyarrow as pa
import pytest
from tests.watch.logs import DAY_US, FIRST_DAY, calls_table, counted_by_hand, earlier, made_calls, rows_of, window_rows

from stillroom.watch.state import window_of
from stillroom.watch.tables import EVENTS

UNTIL = FIRST_DAY + 9


@pytest.mark.parametrize(("since", "until"), [(0, 9), (2, 5)])
def test_a_window_holds_what_a_loop_counts(since: int, until: int) -> None:
    calls = made_calls(2_000)
    days = FIRST_DAY + since, FIRST_DAY + until
    window = window_of(calls_table(calls), None, None, [], *days)
    assert window_rows(window) == counted_by_hand(calls, *days)
    for table in (window.templates, window.repeats, window.users, window.keys):
        assert table.num_rows
    assert any(window.activity["gaps_s"].to_pylist())


def test_a_window_without_calls_has_no_rows_and_misses_everything() -> None:
    window = window_of(calls_table([]), None, None, [], FIRST_DAY, UNTIL)
    assert not any(window_rows(window).values())
    assert {"ip_print", "minhash", "turns"} <= window.missing


def test_columns_that_no_call_says_are_missing_and_unknowns_never_match() -> None:
    calls = [row | {"ip_print": None, "tls_print": None} for row in made_calls(500)]
    table = calls_table(calls).drop_columns(["system_print", "tls_print"])
    window = window_of(table, None, None, [], FIRST_DAY, UNTIL)
    assert {"ip_print", "tls_print", "system_print"} <= window.missing
    assert window.missing.isdisjoint({"agent", "turns", "permit_id"})
    assert set(window.keys["kind"].to_pylist()) == {"agent", "billing", "permit"}


@pytest.mark.parametrize("at", [-1, 7_258_118_400_000_000])
def test_a_call_before_1970_or_after_2199_is_of_no_known_time(at: int) -> None:
    (call,) = made_calls(1)
    call |= {"at": at, "permit_id": None}
    assert window_of(calls_table([call]), None, None, [], -1, 90_000).activity.num_rows == 0


def test_calls_with_a_permit_are_counted_as_such_and_in_nothing_else() -> None:
    calls = [row | {"permit_id": "permit"} for row in made_calls(300)]
    found = window_rows(window_of(calls_table(calls), None, None, [], FIRST_DAY, UNTIL))
    activity = found.pop("activity")
    assert sum(row[4] for row in activity) == 300
    assert not any(value for row in activity for value in (row[3], *row[5:]))
    assert {(kind, value) for _, kind, value, *_ in found.pop("keys")} == {("permit", "permit")}
    assert not any(found.values())


def test_prints_of_an_earlier_epoch_are_those_of_the_later_one() -> None:
    calls = made_calls(1_000)
    earlier_rows = [earlier(row) for row in calls]
    same = [row | {"at": row["at"] - 9 * DAY_US, "call_id": f"b{row['call_id']}"} for row in calls]
    prints = [name for name in earlier_rows[0] if name.endswith("_print")]
    pairs = zip(same, earlier_rows, strict=True)
    before = [row | {name: printed[name] for name in prints} for row, printed in pairs]
    days = FIRST_DAY - 9, UNTIL
    renamed = window_of(
        calls_table(before + calls), None, None, [], *days, earlier_prints=pa.Table.from_pylist(earlier_rows[:500])
    )
    assert rows_of(renamed.templates) == rows_of(window_of(calls_table(same + calls), None, None, [], *days).templates)
    assert rows_of(renamed.keys) == rows_of(window_of(calls_table(same + calls), None, None, [], *days).keys)


def test_a_card_that_only_an_event_names_links_its_account() -> None:
    calls = [row | {"billing_print": None, "permit_id": None} for row in made_calls(200)]
    at = (FIRST_DAY - 100) * DAY_US
    said = [
        ("acct_1", at, {"billing": "old"}),
        ("acct_1", at + DAY_US, {"billing": "card"}),
        ("acct_2", at, {}),
        ("acct_silent", at, {"billing": "card"}),
        ("acct_3", UNTIL * DAY_US, {"billing": "later"}),
    ]
    rows = [
        {"account": account, "organisation": "org", "at": when, "event": "created", "prints": json.dumps(prints)}
        for account, when, prints in said
    ]
    rows.append(rows[0] | {"prints": "[not JSON"})
    window = window_of(calls_table(calls), None, pa.Table.from_pylist(rows, EVENTS), [], FIRST_DAY, UNTIL)
    cards = [row for row in window.keys.to_pylist() if row["kind"] == "billing"]
    assert [(row["account"], row["value"], row["calls"], row["first_day"]) for row in cards] == [
        ("acct_1", "card", 0, FIRST_DAY)
    ]
