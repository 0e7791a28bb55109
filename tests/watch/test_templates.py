"""What counts as a template that is filled in: not a text that is always the same, however it was taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.watch.call_log import DAY_US, PRINTS, CallLog
from tests.watch.logs import seal

from stillroom.watch.compaction import compact
from stillroom.watch.engine import Engine
from stillroom.watch.intake import take_in
from stillroom.watch.state import window

GREETING, ORDER = "hi", "please write {} lines on tax"
HOURS, ACCOUNTS = 10, 3


def hour_of_calls(hour: int) -> list[dict[str, Any]]:
    """A greeting of each account; and an order, which says something else each time, of some."""
    log = CallLog()
    for account in range(ACCOUNTS):
        said = [GREETING] if hour % 4 else [GREETING, ORDER.format(hour * 100), ORDER.format(hour * 100 + 1)]
        for text in said:
            log.ask(f"account {account}", text, day=hour / 24 + 0.01)
    return [row | {"call_id": f"{hour} {row['call_id']}"} for row in log.rows]


def test_a_text_that_is_always_the_same_is_no_template(duck: Engine, tmp_path: Path) -> None:
    """Though each hour of a day is taken in by itself, and all are merged when the week is long over."""
    hours = [hour_of_calls(hour) for hour in range(HOURS)]
    first_day = hours[0][0]["at"] // DAY_US
    for number, rows in enumerate(hours, 1):
        seal(tmp_path / "calls", rows, number)
        take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    later = [row | {"call_id": f"later {row['call_id']}", "at": row["at"] + 20 * DAY_US} for row in hours[1]]
    seal(tmp_path / "calls", later, HOURS + 1)
    take_in(duck, tmp_path / "calls", tmp_path / "state", [])
    for is_compacted in (False, True):
        if is_compacted:
            assert compact(duck, tmp_path / "state") == HOURS - 1
        found = window(duck, tmp_path / "state", first_day, first_day + 28).templates.to_pylist()
        assert {row["skeleton_print"] for row in found} == {PRINTS.texts(ORDER.format(1), None).skeleton}
        assert [row["prompts"] for row in found] == [6] * ACCOUNTS


def test_a_text_that_comes_once_a_day_is_no_template() -> None:
    log = CallLog()
    for account in range(10):
        for day in range(28):
            log.ask(f"account {account}", GREETING, day=day + 0.3)
    assert log.window().templates.num_rows == 0
