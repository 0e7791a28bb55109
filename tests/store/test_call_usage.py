"""Sums over a call log: what is unknown is told, and is no zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import StoreError
from stillroom.store.call_usage import CallUsage, sealed_usage
from stillroom.store.calls import CALLS

DAY = 86_400_000_000
NOON = 20_700 * DAY + DAY // 2
"""On 2026-09-04."""
OK: Mapping[str, Any] = {
    "at": NOON,
    "account": "acct_1",
    "model": "abacus",
    "prompt_tokens": 100,
    "cached_tokens": 40,
    "completion_tokens": 200,
    "reasoning_tokens": 50,
    "counted_by": "provider",
    "cost_usd": "0.000000000000000001",
    "status": "ok",
}
NOTHING = dict.fromkeys(
    ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "counted_by", "cost_usd")
)


def seal(folder: Path, *segments: Sequence[Mapping[str, Any]]) -> Path:
    for number, rows in enumerate(segments, start=1):
        place = folder / "calls" / f"w{number}" / f"{number:08d}"
        place.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=CALLS), place / "calls.parquet")
    return folder / "calls"


def test_rows_of_all_workers_are_added_up_exactly(tmp_path: Path) -> None:
    large = {**OK, "cost_usd": "123456789012.5", "account": "acct_2"}
    calls = seal(tmp_path, [OK, OK], [OK, large])
    rows, total = sealed_usage(calls, "account")
    assert rows == [
        CallUsage("acct_1", 3, {"ok": 3}, 300, 120, 600, 150, 0, Decimal("0.000000000000000003")),
        CallUsage("acct_2", 1, {"ok": 1}, 100, 40, 200, 50, 0, Decimal("123456789012.5")),
    ]
    assert total == CallUsage(None, 4, {"ok": 4}, 400, 160, 800, 200, 0, Decimal("123456789012.500000000000000003"))


def test_what_nobody_knows_is_no_zero(tmp_path: Path) -> None:
    unknown = {**OK, **NOTHING, "status": "unknown", "account": "acct_2"}
    untold = {**OK, "cached_tokens": None, "reasoning_tokens": None, "counted_by": "estimate", "account": "acct_3"}
    calls = seal(tmp_path, [OK, {**OK, **unknown, "account": "acct_1"}, unknown, untold])
    rows = {row.of: row for row in sealed_usage(calls, "account")[0]}
    assert rows["acct_1"].statuses == {"ok": 1, "unknown": 1}
    assert rows["acct_1"].prompt_tokens == 100
    lost = rows["acct_2"]
    assert (lost.prompt_tokens, lost.cached_tokens, lost.completion_tokens, lost.usd) == (None, None, None, None)
    estimated = rows["acct_3"]
    assert (estimated.estimated, estimated.prompt_tokens) == (1, 100)
    assert (estimated.cached_tokens, estimated.reasoning_tokens) == (None, None)


def test_a_call_that_no_model_worked_on_used_nothing(tmp_path: Path) -> None:
    refused = {**OK, **NOTHING, "status": "refused"}
    (row,) = sealed_usage(seal(tmp_path, [refused]), "account")[0]
    assert row == CallUsage("acct_1", 1, {"refused": 1}, 0, 0, 0, 0, 0, Decimal(0))


def test_days_are_utc_and_calls_without_a_permit_stand_apart(tmp_path: Path) -> None:
    late = {**OK, "at": 20_701 * DAY - 1, "permit_id": "permit_1"}
    calls = seal(tmp_path, [OK, late, {**late, "at": 20_701 * DAY}])
    assert {row.of: row.calls for row in sealed_usage(calls, "day")[0]} == {"2026-09-04": 2, "2026-09-05": 1}
    assert {row.of: row.calls for row in sealed_usage(calls, "permit")[0]} == {"permit_1": 2, None: 1}
    rows, total = sealed_usage(calls, "day", since_us=20_701 * DAY - 1, until_us=20_701 * DAY)
    assert [(row.of, row.calls) for row in rows] == [("2026-09-04", 1)]
    assert total.calls == 1


def test_a_log_without_rows_and_one_without_those_asked_for(tmp_path: Path) -> None:
    (tmp_path / "empty" / "w0").mkdir(parents=True)
    nothing = CallUsage(None, 0, {}, 0, 0, 0, 0, 0, Decimal(0))
    assert sealed_usage(tmp_path / "empty", "model") == ([], nothing)
    assert sealed_usage(seal(tmp_path, [OK]), "model", since_us=NOON + 1) == ([], nothing)


def test_a_file_that_is_damaged_is_an_error_that_names_it(tmp_path: Path) -> None:
    calls = seal(tmp_path, [OK])
    path = calls / "w1" / "00000001" / "calls.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"calls\.parquet"):
        sealed_usage(calls, "account")
