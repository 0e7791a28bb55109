"""Whoever changes the log is found out, and what he changed is named."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.call_commitment import commitment
from stillroom.base.errors import StoreError
from stillroom.base.signatures import PublicKey, PublicKeys, SigningKey
from stillroom.serve.meter.chain import RECORD_TYPE, Sign, append_record
from stillroom.serve.meter.forgetting import forget
from stillroom.serve.meter.rows import canonical_row
from stillroom.serve.meter.verification import LogReport, verify_log
from stillroom.store.calls import CALLS, EARLIER_PRINTS, RECEIPTS, SCHEMAS, CallTable
from stillroom.store.merkle import merkle_root

Rows = list[dict[str, Any]]
BUT_COMMITMENTS: tuple[CallTable, ...] = ("calls", "sketches", "earlier_prints", "receipts")


@pytest.fixture
def calls(tmp_path: Path, sealed_log: Path) -> Path:
    """Three segments of six rows, of two workers."""
    shutil.copytree(sealed_log, tmp_path / "calls")
    return tmp_path / "calls"


def rewrite(calls: Path, table: CallTable, change: Callable[[Rows], Any], worker: str = "w0", segment: int = 1) -> None:
    path = calls / worker / f"{segment:08d}" / f"{table}.parquet"
    rows = pq.read_table(path).to_pylist()
    rows = change(rows) or rows
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[table]), path)


def rewrite_chain(calls: Path, change: Callable[[Rows], Any], worker: str = "w0") -> None:
    path = calls / worker / "chain.jsonl"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    lines = change(lines) or lines
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def kinds(report: LogReport) -> set[str]:
    return {problem.kind for problem in report.problems}


def test_a_log_that_nobody_touched(calls: Path, keys: PublicKeys) -> None:
    report = verify_log(calls, keys)
    assert report.problems == []
    assert (report.workers, report.segments, report.rows, report.records, report.signed) == (2, 3, 18, 3, 3)
    assert verify_log(calls).signed == 0


def another(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return not value
    if pa.types.is_string(kind):
        return (value or "") + "x"
    if pa.types.is_fixed_size_binary(kind):
        return bytes([value[0] ^ 1]) + value[1:]
    return (value or 0) + 1


@pytest.mark.parametrize("column", [name for name in CALLS.names if name != "row"])
@pytest.mark.parametrize("how", ["another", "none"])
def test_every_column_of_a_call(calls: Path, column: str, how: str) -> None:
    def alter(rows: Rows) -> None:
        value = rows[2][column]
        rows[2][column] = None if how == "none" else another(value, CALLS.field(column).type)

    rewrite(calls, "calls", alter)
    problems = [problem for problem in verify_log(calls).problems if problem.kind == "row altered"]
    assert [(problem.worker, problem.segment, problem.row) for problem in problems] == [("w0", 1, 2)]


@pytest.mark.parametrize("place", [-1, 6, 10**12, None])
def test_a_row_at_no_place(calls: Path, place: int | None) -> None:
    rewrite(calls, "calls", lambda rows: rows[2].update(row=place))
    problems = verify_log(calls).problems
    assert [(problem.kind, problem.row) for problem in problems] == [("row foreign", None), ("row missing", 2)]


@pytest.mark.parametrize("column", RECEIPTS.names)
def test_every_column_of_a_receipt(calls: Path, column: str) -> None:
    rewrite(calls, "receipts", lambda rows: rows[1].update({column: rows[1][column] + "x"}))
    assert "row altered" in kinds(verify_log(calls))


@pytest.mark.parametrize("column", EARLIER_PRINTS.names)
def test_every_column_of_earlier_prints(calls: Path, column: str) -> None:
    kind = EARLIER_PRINTS.field(column).type
    rewrite(calls, "earlier_prints", lambda rows: rows[1].update({column: another(rows[1][column], kind)}))
    assert "row altered" in kinds(verify_log(calls))


def test_a_sketch(calls: Path) -> None:
    rewrite(calls, "sketches", lambda rows: rows[5].update(minhash=bytes(64)))
    (problem,) = verify_log(calls).problems
    assert (problem.kind, problem.row) == ("row altered", 5)
    assert problem.call_id is not None


@pytest.mark.parametrize("table", ["sketches", "earlier_prints", "receipts"])
def test_sketches_and_receipts_that_are_dropped_doubled_or_swapped(calls: Path, table: CallTable) -> None:
    rewrite(calls, table, lambda rows: rows[1:])
    assert [problem.row for problem in verify_log(calls).problems] == [0]
    rewrite(calls, table, lambda rows: [*rows, rows[0]])
    assert "row foreign" in kinds(verify_log(calls))
    rewrite(calls, table, lambda rows: [*rows, {**rows[0], "call_id": "nobody's"}], "w1")
    assert {"row foreign"} == {each.kind for each in verify_log(calls).problems if each.worker == "w1"}


def test_rows_that_are_dropped(calls: Path) -> None:
    for table in BUT_COMMITMENTS:
        rewrite(calls, table, lambda rows: [*rows[:1], *rows[3:]])
    problems = verify_log(calls).problems
    assert [(problem.kind, problem.worker, problem.segment, problem.row) for problem in problems] == [
        ("row missing", "w0", 1, 1),
        ("row missing", "w0", 1, 2),
    ]


def test_rows_that_change_places(calls: Path) -> None:
    def swap(rows: Rows) -> None:
        rows[0]["row"], rows[3]["row"] = rows[3]["row"], rows[0]["row"]

    rewrite(calls, "calls", swap)
    assert sorted(problem.row or 0 for problem in verify_log(calls).problems) == [0, 3]


def test_the_order_in_the_file_means_nothing(calls: Path) -> None:
    rewrite(calls, "calls", lambda rows: rows[::-1])
    assert verify_log(calls).problems == []


def test_a_row_that_is_added_or_doubled(calls: Path) -> None:
    rewrite(calls, "calls", lambda rows: [*rows, {**rows[0], "row": 6, "call_id": "new"}, rows[2]])
    problems = verify_log(calls).problems
    assert [problem.kind for problem in problems] == ["row foreign", "row foreign"]
    assert problems[0].call_id == "new"


def test_commitments_that_are_made_to_fit(calls: Path, keys: PublicKeys) -> None:
    """Whoever alters a row and its commitment misses the root; whoever alters that misses the signature."""
    forged: dict[str, Any] = {}

    def alter(rows: Rows) -> None:
        rows[0]["cost_usd"] = "0"
        forged.update(rows[0])

    rewrite(calls, "calls", alter)
    receipt = f"jws of {forged['call_id']}"
    (earlier,) = pq.read_table(calls / "w0" / "00000001" / "earlier_prints.parquet").slice(0, 1).to_pylist()
    fitting = commitment(forged["salt"], canonical_row(forged, bytes(range(64)), earlier, receipt))
    rewrite(calls, "commitments", lambda rows: rows[0].update(commitment=fitting))
    assert kinds(verify_log(calls)) == {"commitments altered"}

    path = calls / "w0" / "00000001" / "commitments.parquet"
    leaves: list[Any] = pq.read_table(path)["commitment"].to_pylist()
    root = merkle_root(leaves).hex()
    rewrite_chain(calls, lambda lines: lines[0]["record"].update(merkle_root=root))
    assert kinds(verify_log(calls)) == {"chain broken"}
    assert kinds(verify_log(calls, keys)) == {"chain broken", "signature wrong"}


def test_commitments_that_are_dropped(calls: Path) -> None:
    rewrite(calls, "commitments", lambda rows: rows[:-1])
    assert kinds(verify_log(calls)) == {"commitments altered", "row foreign"}


def test_segments_that_are_gone(calls: Path) -> None:
    shutil.rmtree(calls / "w0" / "00000001")
    (problem,) = verify_log(calls).problems
    assert (problem.kind, problem.segment) == ("segment missing", 1)
    assert "6 rows" in problem.what


def test_a_segment_that_is_gone_with_its_record(calls: Path) -> None:
    shutil.rmtree(calls / "w0" / "00000001")
    rewrite_chain(calls, lambda lines: lines[1:])
    assert kinds(verify_log(calls)) == {"segment missing", "chain broken"}


def test_a_segment_without_a_record(calls: Path) -> None:
    shutil.copytree(calls / "w1" / "00000001", calls / "w1" / "00000002")
    (problem,) = verify_log(calls).problems
    assert (problem.kind, problem.worker, problem.segment) == ("segment foreign", "w1", 2)


def test_segments_of_two_workers_that_change_places(calls: Path, keys: PublicKeys) -> None:
    (calls / "w0" / "00000001").rename(calls / "aside")
    (calls / "w1" / "00000001").rename(calls / "w0" / "00000001")
    (calls / "aside").rename(calls / "w1" / "00000001")
    assert kinds(verify_log(calls, keys)) == {"commitments altered"}
    (calls / "w0").rename(calls / "w2")
    assert "chain broken" in kinds(verify_log(calls, keys))


@pytest.mark.parametrize("table", SCHEMAS)
@pytest.mark.parametrize("keep", [0, 100, -20])
def test_tables_that_are_cut(calls: Path, table: str, keep: int) -> None:
    path = calls / "w0" / "00000001" / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    (problem,) = verify_log(calls).problems
    assert (problem.kind, problem.segment) == ("segment unreadable", 1)


@pytest.mark.parametrize("table", SCHEMAS)
def test_bytes_that_flip_in_a_table(calls: Path, table: str) -> None:
    path = calls / "w0" / "00000001" / f"{table}.parquet"
    whole = path.read_bytes()
    for place in range(4, len(whole) - 8, len(whole) // 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        verify_log(calls)  # a byte that says nothing (statistics) may flip; nothing of it is ever a traceback
    path.unlink()
    assert kinds(verify_log(calls)) == {"segment unreadable"}


def test_other_columns(calls: Path) -> None:
    path = calls / "w0" / "00000001" / "calls.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("note", pa.array(["x"] * 6)), path)
    assert kinds(verify_log(calls)) == {"segment unreadable"}
    pq.write_table(table.drop_columns(["permit_id"]), path)
    assert kinds(verify_log(calls)) == {"segment unreadable"}
    pq.write_table(table.set_column(table.schema.get_field_index("row"), "row", pa.array(["x"] * 6)), path)
    assert kinds(verify_log(calls)) == {"row foreign", "row missing"}


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[0]["record"].update(rows=5),
        lambda lines: lines[0]["record"].update(at=lines[0]["record"]["at"] - 1),
        lambda lines: lines[0]["record"].update(first_call="another"),
        lambda lines: lines[0]["record"].update(note="x"),
        lambda lines: lines[1]["record"].update(previous=None),
        lambda lines: lines[::-1],
        lambda lines: [*lines, lines[1]],
    ],
)
def test_records_that_are_altered_moved_or_doubled(calls: Path, keys: PublicKeys, change: Any) -> None:
    rewrite_chain(calls, change)
    assert "chain broken" in kinds(verify_log(calls, keys))


def test_a_forged_forgetting_record_is_no_excuse(calls: Path, keys: PublicKeys, signing_key: SigningKey) -> None:
    for table in BUT_COMMITMENTS:
        rewrite(calls, table, lambda rows: rows[1:])
    record = {"v": 1, "kind": "forgetting", "worker": "w0", "at": 1, "rows": 1, "deleted": {"1": [[0, 0]]}}
    append_record(calls / "w0", record, None)
    assert kinds(verify_log(calls, keys)) == {"signature wrong"}
    own = SigningKey.generate()
    rewrite_chain(calls, lambda lines: lines[2].update(jws=own.sign(RECORD_TYPE, lines[2]["record"])))
    assert kinds(verify_log(calls, keys)) == {"signature wrong"}
    rewrite_chain(
        calls, lambda lines: lines[2].update(jws=signing_key.sign("stillroom-receipt+jws", lines[2]["record"]))
    )
    assert kinds(verify_log(calls, keys)) == {"signature wrong"}
    rewrite_chain(calls, lambda lines: lines[2].update(jws=lines[1]["jws"]))
    assert kinds(verify_log(calls, keys)) == {"signature wrong"}


def test_a_key_that_was_retired_before(calls: Path, signing_key: SigningKey) -> None:
    retired = PublicKeys([PublicKey(signing_key.jwk, signing_key.kid, retired_at=1_000_000_000)])
    assert kinds(verify_log(calls, retired)) == {"signature wrong"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"{",
        b'{"record": 3}',
        b'{"record": {"kind": "segment", "at": 1, "rows": -1}}',
        b'{"record": {"kind": "segment", "at": 1, "rows": 1, "segment": "1", "damaged_lines": 0, "merkle_root": ""}}',
        b'{"record": {"kind": "forgetting", "at": 1, "rows": 1, "deleted": {"1": [[0, 99999999999]]}}}',
        b'{"record": {"kind": "forgetting", "at": 1, "rows": 1, "deleted": {"x": [[0, 0]]}}}',
        b'{"record": {"kind": "other", "at": 1, "rows": 1}}',
    ],
)
def test_a_chain_of_other_things(calls: Path, keys: PublicKeys, line: bytes) -> None:
    with (calls / "w1" / "chain.jsonl").open("ab") as file:
        file.write(line + b"\n")
    (problem,) = verify_log(calls, keys).problems
    assert (problem.kind, problem.worker) == ("chain broken", "w1")
    assert "line 2" in problem.what


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        verify_log(tmp_path / "calls")


def test_while_a_worker_writes(calls: Path, keys: PublicKeys, opened: Any, fill: Any, begun: Any) -> None:
    with opened(calls / "w0") as log:
        fill(log, 3)
        log.begin(begun())
        report = verify_log(calls, keys)
    assert report.problems == []
    assert report.open_segments == 1


def test_verified_again_and_again_while_a_worker_seals_and_an_account_is_forgotten(
    tmp_path: Path, opened: Any, fill: Any, sign: Sign, keys: PublicKeys
) -> None:
    problems: list[Any] = []
    with opened(tmp_path / "w0", sign=sign, rows=20) as log:
        fill(log, 5, account="acct_9")
        forget(tmp_path, "acct_9", sign)
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                problems.extend(verify_log(tmp_path, keys).problems)

        looking = threading.Thread(target=look)
        looking.start()
        for _ in range(6):
            fill(log, 20)
            fill(log, 3, account="acct_9")
            forget(tmp_path, "acct_9", sign)
        done.set()
        looking.join()
    assert problems == []
    report = verify_log(tmp_path, keys)
    assert (report.problems, report.rows, report.forgotten) == ([], 120, 23)
