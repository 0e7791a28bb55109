from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.watch.logs import DAY_US, FIRST_DAY, Row, counted_by_hand, made_calls, seal, window_rows

from stillroom.watch import compaction
from stillroom.watch.compaction import compact, forget
from stillroom.watch.engine import Engine
from stillroom.watch.intake import take_in
from stillroom.watch.parts import PART_SCHEMAS, open_parts
from stillroom.watch.state import window
from stillroom.watch.tables import EVENTS

DAYS = FIRST_DAY, FIRST_DAY + 9
MIDNIGHT_US = 600_000_000


@pytest.fixture
def calls() -> list[Row]:
    """Of nine days in segments of half a day; no gap lies between two of them."""
    return [row for row in made_calls(900) if row["at"] % (DAY_US // 2) > MIDNIGHT_US]


@pytest.fixture
def state(duck: Engine, calls: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compaction, "_FEWEST_PARTS", 2)
    for half in range(2 * FIRST_DAY, 2 * FIRST_DAY + 18, 3):
        rows = [row for row in calls if half <= row["at"] // (DAY_US // 2) < half + 3]
        seal(tmp_path / "calls", rows, half, is_signed=True)
        take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    return tmp_path / "state"


def later_call(duck: Engine, tmp_path: Path, days: int) -> None:
    (call,) = made_calls(1, seed=9)
    seal(tmp_path / "calls", [call | {"at": (FIRST_DAY + days) * DAY_US}], days)
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])


def test_parts_of_closed_weeks_become_one_and_windows_stay(
    duck: Engine, state: Path, calls: list[Row], tmp_path: Path
) -> None:
    root = window(duck, state, *DAYS).calls_root
    assert compact(duck, state) == 0  # nothing is closed yet
    later_call(duck, tmp_path, 30)
    before = window_rows(window(duck, state, *DAYS))
    assert compact(duck, state) > 2
    assert compact(duck, state) == 0
    after = window(duck, state, *DAYS)
    assert window_rows(after) == before
    assert before["activity"] == counted_by_hand(calls, *DAYS)["activity"]
    assert after.calls_root == root
    assert take_in(duck, tmp_path / "calls", state, []).segments == 0


def test_of_weeks_long_past_only_templates_that_one_account_used_once_go(
    duck: Engine, state: Path, tmp_path: Path
) -> None:
    (single,) = made_calls(1, seed=8)
    single |= {"at": FIRST_DAY * DAY_US + MIDNIGHT_US, "permit_id": None, "skeleton_print": "once", "prompt_print": "p"}
    seal(tmp_path / "calls", [single], 1)
    take_in(duck, tmp_path / "calls", state, [])
    later_call(duck, tmp_path, 60)
    before = window_rows(window(duck, state, *DAYS))
    assert "once" in skeletons(state)
    compact(duck, state)
    with open_parts(state, to_write=True):
        pass  # whoever writes next clears away what was replaced
    assert "once" not in skeletons(state)
    assert window_rows(window(duck, state, *DAYS)) == before


def skeletons(state: Path) -> set[str | None]:
    tables = [pq.read_table(path) for path in (state / "templates").iterdir()]
    return set(pa.concat_tables(tables)["skeleton_print"].to_pylist())


def test_a_forgotten_account_is_in_no_file_and_others_stay(
    duck: Engine, state: Path, calls: list[Row], tmp_path: Path
) -> None:
    event = {"account": "acct_1", "organisation": "org", "at": 5, "event": "created", "prints": "{}"}
    events = pa.Table.from_pylist([event, event | {"account": "acct_2"}], EVENTS)
    take_in(duck, tmp_path / "calls", state, [], events=events)
    assert forget(duck, state, "acct_1") > 1
    found = window_rows(window(duck, state, *DAYS))
    by_hand = counted_by_hand(calls, *DAYS)
    for name in ("activity", "users", "keys", "models", "repeats"):
        assert found[name] == [row for row in by_hand[name] if row[0] != "acct_1"]
    for path in state.rglob("*.parquet"):
        table = pq.read_table(path)
        if "account" in table.column_names:
            assert "acct_1" not in table["account"].to_pylist()
    assert forget(duck, state, "acct_1") == 0
    assert take_in(duck, tmp_path / "calls", state, []).counted == 0
    with open_parts(state) as parts:
        assert all(
            parts.paths(table, parts.listed()) for table in PART_SCHEMAS if table not in ("aliases", "bank_hits")
        )
