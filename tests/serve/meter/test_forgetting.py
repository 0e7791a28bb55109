"""An account that is forgotten is gone from every file; the log still verifies, and no one else lost a row."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import StoreError
from stillroom.base.signatures import PublicKeys
from stillroom.serve.meter import forgetting
from stillroom.serve.meter.chain import Sign, read_chain
from stillroom.serve.meter.covered import covered_rows, ranges
from stillroom.serve.meter.forgetting import forget
from stillroom.serve.meter.segment_file import open_segments
from stillroom.serve.meter.verification import verify_log
from stillroom.store.calls import CallTable, call_dataset


@pytest.fixture
def calls(tmp_path: Path, sealed_log: Path) -> Path:
    """Twelve rows of acct_1, six of acct_2."""
    shutil.copytree(sealed_log, tmp_path / "calls")
    return tmp_path / "calls"


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_rows_salts_sketches_and_receipts_go_and_the_log_still_verifies(
    calls: Path, sign: Sign, keys: PublicKeys
) -> None:
    table = call_dataset(calls).to_table()
    its = [row for row in table.to_pylist() if row["account"] == "acct_2"]
    forgotten = forget(calls, "acct_2", sign)
    assert (forgotten.rows, forgotten.segments, forgotten.open_calls) == (6, 3, 0)
    report = verify_log(calls, keys)
    assert (report.problems, report.rows, report.forgotten, report.signed) == ([], 12, 6, 5)
    assert set(call_dataset(calls).to_table()["account"].to_pylist()) == {"acct_1"}
    others: tuple[CallTable, ...] = ("sketches", "earlier_prints", "receipts")
    for name in others:
        assert call_dataset(calls, name).count_rows() == 12
    chains = b"".join(path.read_bytes() for path in calls.rglob("chain.jsonl"))
    assert b"acct_2" not in everything_in(calls)
    for row in its:  # but for the first and the last of a segment, whose ids its record names
        assert row["salt"] not in everything_in(calls)
        assert row["call_id"].encode() not in everything_in(calls).replace(chains, b"") or row["row"] in (0, 5)


def test_the_record_says_how_many_and_when_and_not_who(calls: Path, sign: Sign) -> None:
    forget(calls, "acct_2", sign)
    record = read_chain(calls / "w0")[-1].record
    assert record["kind"] == "forgetting"
    assert (record["rows"], record["deleted"]) == (4, {"1": [[4, 5]], "2": [[4, 5]]})
    assert record["at"] > 0
    assert "acct_2" not in str(record)


def test_an_account_that_is_not_there_leaves_no_record(calls: Path, sign: Sign) -> None:
    before = everything_in(calls)
    assert forget(calls, "nobody", sign).rows == 0
    assert everything_in(calls) == before


def test_it_can_be_done_for_one_account_after_another(calls: Path, sign: Sign, keys: PublicKeys) -> None:
    forget(calls, "acct_2", sign)
    forget(calls, "acct_1", sign)
    assert forget(calls, "acct_1", sign).rows == 0
    report = verify_log(calls, keys)
    assert (report.problems, report.rows, report.forgotten) == ([], 0, 18)
    assert call_dataset(calls).count_rows() == 0


@pytest.mark.parametrize("kills_at", [0, 1, 2, 3, 8])
def test_a_kill_on_the_way_is_finished_by_the_same_command(
    calls: Path, sign: Sign, keys: PublicKeys, kills_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite = forgetting._rewrite
    times = 0

    def killing(*args: Any) -> None:
        nonlocal times
        if times == kills_at:
            raise KeyboardInterrupt
        times += 1
        rewrite(*args)

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "_rewrite", killing)
        with pytest.raises(KeyboardInterrupt):
            forget(calls, "acct_2", sign)
    kinds = {problem.kind for problem in verify_log(calls, keys).problems}
    assert kinds <= {"row not forgotten", "row altered"}  # it says that it is not done; nothing counts as missing
    forget(calls, "acct_2", sign)
    report = verify_log(calls, keys)
    assert (report.problems, report.rows, report.forgotten) == ([], 12, 6)
    recorded = sum(line.record["rows"] for line in read_chain(calls / "w0") if line.record["kind"] == "forgetting")
    assert recorded == 4


def test_a_worker_that_runs_is_asked_to_seal_first(
    tmp_path: Path, opened: Any, fill: Any, begun: Any, sign: Sign, keys: PublicKeys
) -> None:
    with opened(tmp_path / "w0", sign=sign) as log:
        fill(log, 3)
        fill(log, 3, account="acct_2")
        log.begin(begun(account="acct_2"))
        forgotten = forget(tmp_path, "acct_2", sign)
        assert (forgotten.rows, forgotten.open_calls) == (3, 1)
        fill(log, 1)
    report = verify_log(tmp_path, keys)
    assert (report.problems, report.rows, report.forgotten) == ([], 5, 3)


def test_calls_without_sketches_and_receipts_are_forgotten_too(tmp_path: Path, opened: Any, begun: Any) -> None:
    with opened(tmp_path / "w0") as log:
        for account in ("acct_1", "acct_2"):
            call = begun(account=account)
            log.begin(call)
            log.settle(call)
    assert forget(tmp_path, "acct_2", None).rows == 1
    report = verify_log(tmp_path)
    assert (report.problems, report.rows, report.forgotten) == ([], 1, 1)


def test_what_a_dead_worker_left_open_is_sealed_and_forgotten_too(
    tmp_path: Path, opened: Any, fill: Any, sign: Sign, keys: PublicKeys
) -> None:
    with opened(tmp_path / "w0") as log:
        fill(log, 2, account="acct_2")
        (path,) = open_segments(tmp_path / "w0")
        (tmp_path / "copy" / "w1").mkdir(parents=True)
        shutil.copy(path, tmp_path / "copy" / "w1")
    assert forget(tmp_path / "copy", "acct_2", sign).rows == 2
    assert verify_log(tmp_path / "copy", keys).problems == []
    assert b"acct_2" not in everything_in(tmp_path / "copy")


def test_a_worker_that_does_not_seal_is_told_of(tmp_path: Path, opened: Any, fill: Any, monkeypatch: Any) -> None:
    with opened(tmp_path / "w0") as log, monkeypatch.context() as patch:
        patch.setattr(log, "_begin_next", lambda: None)
        fill(log, 2, account="acct_2")
        with pytest.raises(StoreError, match="2 rows of acct_2"):
            forget(tmp_path, "acct_2", None, seconds_to_seal=0.3)


def test_many_scattered_rows_fit_into_signed_records(
    tmp_path: Path, opened: Any, fill: Any, sign: Sign, keys: PublicKeys
) -> None:
    with opened(tmp_path / "w0", sign=sign) as log:
        for number in range(3400):
            fill(log, 1, account=f"acct_{number % 2 + 1}")
    forget(tmp_path, "acct_2", sign)
    report = verify_log(tmp_path, keys)
    assert (report.problems, report.rows, report.forgotten, report.records) == ([], 1700, 1700, 3)


def test_two_at_once(calls: Path, sign: Sign, keys: PublicKeys) -> None:
    threads = [threading.Thread(target=forget, args=(calls, f"acct_{number}", sign)) for number in (1, 2, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify_log(calls, keys)
    assert (report.problems, report.forgotten) == ([], 18)


def test_ranges() -> None:
    assert ranges([]) == []
    assert ranges([1, 2, 3, 7, 9, 10]) == [[1, 3], [7, 7], [9, 10]]
    assert covered_rows([]) == {}
