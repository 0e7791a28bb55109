from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.watch.logs import DAY_US, FIRST_DAY, Row, counted_by_hand, earlier, made_calls, seal, window_rows

from stillroom.base.errors import DataError, StoreError
from stillroom.store.lock import FolderLock
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.watch import parts as parts_of_state
from stillroom.watch import segments
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.columns import CAPABILITIES
from stillroom.watch.engine import Engine
from stillroom.watch.intake import TakenIn, new_key_ids, take_in
from stillroom.watch.parts import PART_SCHEMAS, open_parts
from stillroom.watch.state import window
from stillroom.watch.tables import EVENTS
from stillroom.watch.window import Bank

DAYS = FIRST_DAY, FIRST_DAY + 9


def by_day(calls: list[Row]) -> list[list[Row]]:
    """Segments such that no account's gap lies between two of them, and no prompt is in two of one day."""
    days = [[row for row in calls if row["at"] // DAY_US == day] for day in range(*DAYS)]
    midnight = 600_000_000
    return [[row for row in day if midnight < row["at"] % DAY_US] for day in days]


def test_an_hour_at_a_time_counts_what_all_at_once_counts(duck: Engine, tmp_path: Path) -> None:
    days = by_day(made_calls(3_000))
    for number, rows in enumerate(days[4:], 1):
        seal(tmp_path / "calls", rows, number, worker=f"w{number % 2}")
        taken = take_in(duck, tmp_path / "calls", tmp_path / "bit by bit", [])
        assert (taken.segments, taken.rows, taken.counted) == (1, len(rows), len(rows))
    take_in(duck, tmp_path / "calls", tmp_path / "at once", [])
    by_hand = counted_by_hand([row for day in days[4:] for row in day], *DAYS)
    assert window_rows(window(duck, tmp_path / "at once", *DAYS)) == by_hand
    assert window_rows(window(duck, tmp_path / "bit by bit", *DAYS)) == by_hand


def test_what_was_taken_is_not_taken_again_wherever_it_lies(duck: Engine, tmp_path: Path) -> None:
    seal(tmp_path / "calls", made_calls(200), 1)
    assert take_in(duck, tmp_path / "calls", tmp_path / "state", []).counted == 200
    assert take_in(duck, tmp_path / "calls", tmp_path / "state", []) == nothing()
    (tmp_path / "calls").rename(tmp_path / "moved")
    assert take_in(duck, tmp_path / "moved", tmp_path / "state", []) == nothing()


def nothing() -> TakenIn:
    return TakenIn(0, 0, 0, 0, 0, None, None, dict.fromkeys(CAPABILITIES, 0.0), None)


def test_a_call_counts_once_however_often_it_is_there(duck: Engine, tmp_path: Path) -> None:
    calls = made_calls(600)
    seal(tmp_path / "calls", calls[:300] + calls[:50], 1)
    seal(tmp_path / "calls", calls[200:400], 2)
    first = take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    assert (first.rows, first.counted, first.duplicates, first.unattributed) == (550, 400, 150, 0)
    # Another export of the same log, with a clock that is five hours off, and rows that say too little.
    again = [row | {"at": row["at"] + 5 * 3_600_000_000} for row in calls[:350]]
    nameless = [row | {what: None} for row, what in zip(calls[400:403], ("account", "at", "call_id"), strict=True)]
    seal(tmp_path / "export", [*again, *nameless, *calls[403:]], 1, worker="import")
    second = take_in(duck, tmp_path / "export", tmp_path / "state", [])
    assert (second.rows, second.counted, second.duplicates, second.unattributed) == (550, 197, 350, 3)
    seal(tmp_path / "export", calls[:10] + nameless, 2, worker="import")
    assert take_in(duck, tmp_path / "export", tmp_path / "state", []).duplicates == 10
    activity = window(duck, tmp_path / "state", *DAYS).activity.to_pylist()
    assert sum(row["calls"] + row["permitted_calls"] for row in activity) == 597


def test_late_calls_go_to_their_own_day(duck: Engine, tmp_path: Path) -> None:
    days = by_day(made_calls(1_000))
    seal(tmp_path / "calls", days[8], 1)
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    seal(tmp_path / "calls", days[0], 2)
    taken = take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    assert (taken.first_day, taken.last_day) == (FIRST_DAY, FIRST_DAY)
    first_day = window(duck, tmp_path / "state", FIRST_DAY, FIRST_DAY + 1)
    assert window_rows(first_day) == counted_by_hand(days[0], FIRST_DAY, FIRST_DAY + 1)


class Killed(BaseException):
    """What no handler of errors sees, as a kill."""


def test_a_kill_between_writes_loses_nothing_and_counts_nothing_twice(
    duck: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = by_day(made_calls(700))
    for number, rows in enumerate(days, 1):
        seal(tmp_path / "calls", rows, number)
    monkeypatch.setattr(segments, "ROWS_AT_ONCE", 300)
    for last_write in (1, 5, 9, 20, 35):
        left = last_write

        def count_down() -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed

        with monkeypatch.context() as patch:
            for owner, name in ((type(duck), "write"), (parts_of_state, "sync"), (parts_of_state.Parts, "_insert")):
                patch.setattr(owner, name, _followed_by(count_down, getattr(owner, name)))
            with pytest.raises(Killed):
                take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    every = [row for day in days for row in day]
    assert window_rows(window(duck, tmp_path / "state", *DAYS)) == counted_by_hand(every, *DAYS)
    with open_parts(tmp_path / "state", to_write=True) as parts:
        names = {part.name for part in parts.listed()}
    assert len(names) > 1
    assert {path.stem for table in PART_SCHEMAS for path in (tmp_path / "state" / table).iterdir()} == names


def _followed_by(then: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def both(*arguments: Any, **named: Any) -> Any:
        made = function(*arguments, **named)
        then()
        return made

    return both


def test_two_at_once_is_an_error_that_names_the_other(duck: Engine, tmp_path: Path) -> None:
    seal(tmp_path / "calls", made_calls(10), 1)
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    lock = FolderLock(tmp_path / "state" / "lock", "the state")
    with pytest.raises(StoreError, match="in use by process"):
        take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    lock.release()


def test_the_root_is_of_the_signed_records_and_imports_have_none(duck: Engine, tmp_path: Path) -> None:
    days = by_day(made_calls(900))
    seal(tmp_path / "calls", days[0], 1, is_signed=True)
    one = take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    seal(tmp_path / "calls", days[5], 2, is_signed=True)
    two = take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    roots = [window(duck, tmp_path / "state", FIRST_DAY, FIRST_DAY + day).calls_root for day in (1, 5, 6)]
    assert roots[0] == roots[1] == one.calls_root
    assert len({one.calls_root, two.calls_root, roots[2]}) == 3
    assert all(root is not None and root.startswith("sha256:") for root in roots)
    seal(tmp_path / "export", days[6], 1, worker="import")
    assert take_in(duck, tmp_path / "export", tmp_path / "state", []).calls_root is None
    assert window(duck, tmp_path / "state", *DAYS).calls_root is None
    assert window(duck, tmp_path / "state", FIRST_DAY, FIRST_DAY + 1).calls_root == one.calls_root


def with_texts(calls: list[Row], texts: list[str]) -> tuple[BankPrints, list[Row]]:
    """Puts the texts' prints into the calls. Returns a bank of forty questions, and the calls' sketches."""
    prints = Prints(Secrets(bytes(32)), "2026q4")
    questions = tuple(question(number) for number in range(40))
    sketches = []
    for row, text in zip(calls, texts, strict=True):
        printed = prints.texts(text, None)
        row |= {"prompt_print": printed.prompt, "print_key_id": prints.print_key_id}
        sketches.append({"call_id": row["call_id"], "minhash": printed.sketch})
    return BankPrints.of(BankText("farm", questions, "train", "sha256:"), prints), sketches


def question(number: int) -> str:
    return f"A farmer has {number} sheep and sells {number % 7} of them at the market. How many sheep are left?"


def test_questions_of_a_bank_are_found(duck: Engine, tmp_path: Path) -> None:
    calls = made_calls(120)
    bank, sketches = with_texts(calls, [question(n % 40) if n < 60 else f"Not in it: {n}" for n in range(120)])
    seal(tmp_path / "calls", [*calls, calls[0]], 1, sketches=[*sketches, sketches[0]])
    take_in(duck, tmp_path / "calls", tmp_path / "state", [bank])
    found = window(duck, tmp_path / "state", *DAYS, [Bank("farm", 40, "train")])
    asked = Counter((row["account"], n % 40) for n, row in enumerate(calls[:60]) if row["permit_id"] is None)
    hits = found.bank_hits.to_pylist()
    assert {(row["account"], row["question"]): row["calls"] for row in hits} == asked
    assert all(row["exact_calls"] == row["calls"] and row["bank"] == "farm" for row in hits)
    assert found.banks == (Bank("farm", 40, "train"),)


def test_spark_counts_what_duckdb_counts(duck: Engine, spark: Engine, tmp_path: Path) -> None:
    calls = made_calls(20_000)
    bank, sketches = with_texts(calls, [question(n) if n < 400 else f"Not in it: {n % 5_000}" for n in range(20_000)])
    seal(tmp_path / "calls", [*calls, *calls[:5]], 1, sketches=sketches, earlier=[earlier(row) for row in calls[:300]])
    taken = [
        take_in(engine, tmp_path / "calls", tmp_path / name, [bank]) for engine, name in ((duck, "a"), (spark, "b"))
    ]
    assert taken[0] == taken[1]
    found = window_rows(window(duck, tmp_path / "a", *DAYS))
    assert found["bank_hits"]
    assert found == window_rows(window(spark, tmp_path / "b", *DAYS))


def test_what_a_source_does_not_say_is_told(duck: Engine, tmp_path: Path) -> None:
    calls = [row | {"ip_print": None} for row in made_calls(100)]
    folder = seal(tmp_path / "calls", calls, 1)
    (folder / "sketches.parquet").unlink()
    table = pq.read_table(folder / "calls.parquet").drop_columns(["turns"])
    pq.write_table(table, folder / "calls.parquet")
    taken = take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    assert taken.capabilities["ip_print"] == taken.capabilities["turns"] == taken.capabilities["minhash"] == 0
    assert taken.capabilities["account"] == 1
    assert 0.6 < taken.capabilities["agent"] < 1
    assert {"ip_print", "turns", "minhash"} <= window(duck, tmp_path / "state", *DAYS).missing


def test_events_are_kept_once(duck: Engine, tmp_path: Path) -> None:
    seal(tmp_path / "calls", made_calls(100), 1)
    event = {"account": "acct_1", "organisation": "org", "at": 5, "event": "created", "prints": '{"billing": "card"}'}
    events = pa.Table.from_pylist([event, event | {"account": "acct_2"}], EVENTS)
    for _ in range(2):
        take_in(duck, tmp_path / "calls", tmp_path / "state", [], events=events)
    assert pq.read_table(tmp_path / "state" / "events" / "all.parquet").num_rows == 2
    keys = window(duck, tmp_path / "state", *DAYS).keys.to_pylist()
    assert {row["account"] for row in keys if row["value"] == "card"} == {"acct_1", "acct_2"}


def test_a_state_without_calls_is_named(duck: Engine, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no counts"):
        window(duck, tmp_path / "state", *DAYS)


@pytest.mark.parametrize(
    "damage", ["gone", "no Parquet", "a hole", "text for a time", "fractions of turns", "chain", "no list of parts"]
)
def test_what_cannot_be_read_is_named_and_nothing_is_taken(damage: str, duck: Engine, tmp_path: Path) -> None:
    folder = seal(tmp_path / "calls", made_calls(1_000), 1)
    path = folder / "calls.parquet"
    table, data = pq.read_table(path), path.read_bytes()
    state = tmp_path / "state"
    state.mkdir()
    if damage == "gone":
        path.unlink()
    elif damage == "no Parquet":
        path.write_bytes(b"{broken\n")
    elif damage == "a hole":
        path.write_bytes(data[:200] + bytes(300) + data[500:])
    elif damage == "chain":
        path = tmp_path / "calls" / "w0" / "chain.jsonl"
        path.write_bytes(b"{broken\n")
    elif damage == "no list of parts":
        path = state / "parts.sqlite3"
        path.write_bytes(b"no list" * 1_000)
    else:
        name, values = ("at", ["yesterday"]) if damage == "text for a time" else ("turns", [1.5])
        place = table.schema.get_field_index(name)
        pq.write_table(table.set_column(place, name, pa.array(values * table.num_rows)), path)
    with pytest.raises(StoreError, match=re.escape(str(path if damage != "a hole" else folder))):
        take_in(duck, tmp_path / "calls", state, [])
    if damage != "no list of parts":
        with open_parts(state) as parts:
            assert parts.listed() == []


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_a_part_that_is_damaged_is_never_a_part_without_rows(damage: str, duck: Engine, tmp_path: Path) -> None:
    seal(tmp_path / "calls", made_calls(100), 1)
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    (path,) = (tmp_path / "state" / "activity").iterdir()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(b"")
    with pytest.raises(StoreError, match=re.escape(str(path))):
        window(duck, tmp_path / "state", *DAYS)


def test_times_and_numbers_that_nothing_can_have_are_unknown(duck: Engine, tmp_path: Path) -> None:
    calls = [row | {"permit_id": None, "turns": 1, "n": 1} for row in made_calls(100)]
    lengths = {"prompt_tokens": 2**62, "completion_tokens": 2**62}
    odd = [{"at": 2**63 - 1}, {"at": -(2**63)}, lengths, lengths, {"turns": -1}, {"n": -5}, {"prompt_tokens": -1}]
    for row, value in zip(calls, odd, strict=False):
        row |= value
    calls[3] |= {name: calls[2][name] for name in ("at", "account")}
    seal(tmp_path / "calls", calls, 1)
    taken = take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    assert (taken.counted, taken.unattributed) == (98, 2)
    activity = window(duck, tmp_path / "state", *DAYS).activity.to_pylist()
    lengths_known = [row for row in calls[4:] if None not in (row["prompt_tokens"], row["completion_tokens"])]
    assert sum(row["calls"] for row in activity) == 98
    assert sum(row["lengths_known"] for row in activity) == sum(row["prompt_tokens"] > 0 for row in lengths_known)
    assert sum(row["turns_known"] for row in activity) == sum(row["n_known"] for row in activity) == 97


def test_events_without_their_columns_are_refused(duck: Engine, tmp_path: Path) -> None:
    seal(tmp_path / "calls", made_calls(10), 1)
    with pytest.raises(DataError, match="organisation"):
        take_in(duck, tmp_path / "calls", tmp_path / "state", [], events=pa.table({"account": ["acct_1"]}))


def test_nothing_of_the_engine_is_left(duck: Engine, tmp_path: Path) -> None:
    seal(tmp_path / "calls", made_calls(10), 1)
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    assert not [path for path in (tmp_path / "state").rglob("*") if path.name.startswith(".")]


def test_the_keys_of_new_calls_are_told(duck: Engine, tmp_path: Path) -> None:
    calls = made_calls(20)
    seal(tmp_path / "calls", calls, 1, earlier=[earlier(row) for row in calls])
    assert new_key_ids(tmp_path / "calls", tmp_path / "state") == {"2026q3-00000000", "2026q4-00000000"}
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    assert new_key_ids(tmp_path / "calls", tmp_path / "state") == frozenset()
