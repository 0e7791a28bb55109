"""The call log: what is written is found again, whatever ends the process, and a full disk lets no call in."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import StoreError
from stillroom.serve.meter.call_log import SEAL_REQUEST, CallLog
from stillroom.serve.meter.chain import read_chain
from stillroom.serve.meter.ids import new_id
from stillroom.serve.meter.lookup import find_receipt
from stillroom.serve.meter.rows import call_of
from stillroom.serve.meter.segment_file import LogFull, SegmentFile, begun_line, open_segments, read_segment
from stillroom.serve.meter.verification import verify_log
from stillroom.store.calls import call_dataset

_PATIENCE_S = 60


def rows_of(calls: Path) -> list[dict[str, Any]]:
    return call_dataset(calls).to_table().to_pylist()


def statuses(calls: Path) -> Counter[str]:
    return Counter(row["status"] for row in rows_of(calls))


def until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


@pytest.mark.usefixtures("in_children")
def test_what_is_settled_stands_in_the_tables(tmp_path: Path, opened: Any, fill: Any) -> None:
    with opened(tmp_path / "w0") as log:
        calls = fill(log, 5)
    rows = rows_of(tmp_path)
    assert [call_of(row) for row in rows] == calls
    assert [row["row"] for row in rows] == [0, 1, 2, 3, 4]
    assert len({row["salt"] for row in rows}) == 5
    sketches = call_dataset(tmp_path, "sketches").to_table().to_pylist()
    assert sketches == [{"call_id": call.call_id, "minhash": bytes(range(64))} for call in calls]
    earlier = call_dataset(tmp_path, "earlier_prints").to_table().to_pylist()
    assert [each["call_id"] for each in earlier] == [call.call_id for call in calls]
    assert (earlier[0]["skeleton_print"], earlier[0]["minhash"]) == ("b6" * 16, bytes(range(64, 128)))
    receipts = call_dataset(tmp_path, "receipts").to_table().to_pylist()
    assert receipts[0] == {
        "receipt_id": calls[0].receipt_id,
        "call_id": calls[0].call_id,
        "account": "acct_1",
        "receipt": f"jws of {calls[0].call_id}",
    }
    assert not open_segments(tmp_path / "w0")


def test_calls_without_sketch_or_receipt_are_rows_too(tmp_path: Path, opened: Any, begun: Any) -> None:
    with opened(tmp_path / "w0") as log:
        call = begun(temperature=None, stream=False)
        log.begin(call)
        log.settle(call)
    (row,) = rows_of(tmp_path)
    assert call_of(row) == call
    assert call_dataset(tmp_path, "receipts").count_rows() == call_dataset(tmp_path, "sketches").count_rows() == 0
    assert not verify_log(tmp_path).problems


def test_a_call_is_settled_once_and_only_where_it_was_begun(tmp_path: Path, opened: Any, fill: Any, begun: Any) -> None:
    with opened(tmp_path / "w0") as log:
        (call,) = fill(log, 1)
        with pytest.raises(ValueError, match="settled already"):
            log.settle(call)
        with pytest.raises(ValueError, match="was not begun"):
            log.settle(begun())
    assert len(rows_of(tmp_path)) == 1


def test_a_full_segment_is_sealed_and_open_calls_are_carried_over(
    tmp_path: Path, opened: Any, fill: Any, begun: Any, settled: Any
) -> None:
    with opened(tmp_path / "w0", rows=10) as log:
        long_call = begun()
        log.begin(long_call)
        fill(log, 10)
        until(lambda: len(read_chain(tmp_path / "w0")) == 1)
        fill(log, 3)
        log.settle(settled(long_call))
    first, second = read_chain(tmp_path / "w0")
    assert (first.record["rows"], second.record["rows"]) == (10, 4)
    assert second.record["last_call"] == long_call.call_id
    assert second.record["previous"] == first.digest
    assert statuses(tmp_path) == {"ok": 14}
    assert not verify_log(tmp_path).problems


def test_a_call_that_outlives_its_segment_is_not_lost_by_a_kill(
    tmp_path: Path, opened: Any, fill: Any, begun: Any
) -> None:
    with opened(tmp_path / "w0", rows=10) as log:
        long_call = begun()
        log.begin(long_call)
        fill(log, 10)
        until(lambda: [path.name for path in open_segments(tmp_path / "w0")] == ["open-00000002.log"])
        shutil.copytree(tmp_path / "w0", tmp_path / "killed" / "w0")  # what a kill would have left
    with opened(tmp_path / "killed" / "w0") as log:
        assert log.recovered == [long_call]
    assert statuses(tmp_path / "killed") == {"ok": 10, "unknown": 1}


def test_an_old_segment_is_sealed_and_so_is_one_that_is_asked_for(tmp_path: Path, opened: Any, fill: Any) -> None:
    with opened(tmp_path / "w0", age_s=0.01) as log:
        fill(log, 1)
        until(lambda: len(read_chain(tmp_path / "w0")) == 1)
    with opened(tmp_path / "w1") as log:
        fill(log, 1)
        (tmp_path / "w1" / SEAL_REQUEST).touch()
        until(lambda: len(read_chain(tmp_path / "w1")) == 1)
        assert log.state().rows == 0


def test_a_log_that_nobody_called_leaves_nothing(tmp_path: Path, opened: Any, fill: Any) -> None:
    for _ in range(2):
        with opened(tmp_path / "w0"):
            pass
    assert not read_chain(tmp_path / "w0")
    with opened(tmp_path / "w0") as log:
        fill(log, 1)
    assert [line.record["segment"] for line in read_chain(tmp_path / "w0")] == [1]


def test_two_processes_never_write_one_log(tmp_path: Path, opened: Any) -> None:
    with opened(tmp_path / "w0"), pytest.raises(StoreError, match="in use by process"):
        CallLog(tmp_path / "w0")


def test_calls_that_are_open_at_the_end_are_unknown(tmp_path: Path, opened: Any, begun: Any, fill: Any) -> None:
    with opened(tmp_path / "w0") as log:
        log.begin(begun())
        fill(log, 1)
        assert log.state().open_calls == 1
    assert statuses(tmp_path) == {"ok": 1, "unknown": 1}
    with pytest.raises(LogFull, match="is closed"):
        log.begin(begun())


_WORKER = """
import os, sys
from dataclasses import replace
from pathlib import Path
from stillroom.base.records import Call
from stillroom.serve.meter.call_log import CallLog

log = CallLog(Path(sys.argv[1]), rows=int(sys.argv[2]), reserve_bytes=0)
call = Call("", 0, "a", "o", "k", "m", "chat", *[None] * 18)
for number in range(10**9):
    one = replace(call, call_id=f"{sys.argv[3]}-{number}", at=number, receipt_id=f"{sys.argv[3]}-r-{number}")
    log.begin(one)
    os.write(1, b"b%d\\n" % number)  # the upstream is asked
    if number % 5:
        one.status = "ok"
        log.settle(one, bytes(64), "receipt " * 100)
        os.write(1, b"s%d\\n" % number)  # the last bytes go out
"""


def killed_worker(folder: Path, rows: int, name: str, after_bytes: int) -> tuple[set[str], set[str]]:
    """Runs a worker until it has said so much, and kills it. The calls that it had begun, and settled, by then."""
    command = [sys.executable, "-c", _WORKER, str(folder), str(rows), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read(after_bytes)
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    lines = said.decode().split("\n")[:-1]
    begun = {f"{name}-{line[1:]}" for line in lines if line[0] == "b"}
    return begun, {f"{name}-{line[1:]}" for line in lines if line[0] == "s"}


def test_kill_9_loses_and_doubles_no_call(tmp_path: Path, opened: Any) -> None:
    """Four workers one after the other in one folder, each killed in the midst of writing and sealing."""
    begun: set[str] = set()
    settled: set[str] = set()
    for number, after_bytes in enumerate((1, 3_000, 20_001, 30_007)):
        more_begun, more_settled = killed_worker(tmp_path / "w0", 500, f"run{number}", after_bytes)
        begun |= more_begun
        settled |= more_settled
    assert len(settled) > 2_000
    with opened(tmp_path / "w0") as log:
        recovered = {call.call_id for call in log.recovered}
    rows = rows_of(tmp_path)
    ids = [row["call_id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert begun <= set(ids)  # an intent or two more may be there, that were written and not told of any more
    ok = {row["call_id"] for row in rows if row["status"] == "ok"}
    assert settled <= ok
    assert {row["call_id"] for row in rows if row["status"] == "unknown"} == set(ids) - ok
    assert recovered <= set(ids) - ok
    assert not verify_log(tmp_path).problems
    assert call_dataset(tmp_path, "receipts").count_rows() == len(ok)
    assert len(read_chain(tmp_path / "w0")) >= 4  # what each of them left, and whatever was sealed before its end


def test_a_line_that_was_cut_anywhere_does_not_count(tmp_path: Path, opened: Any, fill: Any, begun: Any) -> None:
    with opened(tmp_path / "whole" / "w0") as log:
        fill(log, 2)
        log.begin(begun())
        (path,) = open_segments(tmp_path / "whole" / "w0")
        data = path.read_bytes()
    last = data[:-1].rindex(b"\n") + 1
    for cut in {last, last + 1, last + 8, last + 9, (last + len(data)) // 2, len(data) - 1}:
        folder = tmp_path / f"cut{cut}" / "w0"
        folder.mkdir(parents=True)
        (folder / path.name).write_bytes(data[:cut])
        with opened(folder) as log:
            assert not log.recovered
        assert statuses(folder.parent) == {"ok": 2}
        assert not verify_log(folder.parent).problems


def test_a_damaged_line_in_the_middle_is_counted_and_costs_only_itself(tmp_path: Path, opened: Any, fill: Any) -> None:
    folder = tmp_path / "w0"
    with opened(tmp_path / "whole" / "w0") as log:
        fill(log, 3)
        (path,) = open_segments(tmp_path / "whole" / "w0")
        data = bytearray(path.read_bytes())
    lines = data.split(b"\n")
    data[len(lines[0]) + len(lines[1]) + 40] ^= 1  # in the first settlement
    folder.mkdir()
    (folder / path.name).write_bytes(data)
    with opened(folder) as log:
        assert len(log.recovered) == 1
    assert statuses(tmp_path) == {"ok": 2, "unknown": 1}
    assert read_chain(folder)[0].record["damaged_lines"] == 1
    assert verify_log(tmp_path).damaged_lines == 1


def limit_file_size(size: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))


@pytest.fixture
def file_size_limit() -> Any:
    """Sets how large a file may get: the system then cuts a write short, as a full disk does."""
    before, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield limit_file_size
    limit_file_size(before)


def test_on_a_full_disk_intents_are_refused_and_settlements_kept(
    tmp_path: Path, opened: Any, begun: Any, settled: Any, fill: Any, file_size_limit: Any
) -> None:
    with opened(tmp_path / "w0") as log:
        fill(log, 1)
        in_flight = [begun(), begun()]
        for call in in_flight:
            log.begin(call)
        (path,) = open_segments(tmp_path / "w0")
        size = path.stat().st_size
        file_size_limit(size + 100)  # a piece of a line still fits
        with pytest.raises(LogFull, match="cannot be written"):
            log.begin(begun())
        assert path.stat().st_size == size, "the piece was taken back"
        for call in in_flight:
            log.settle(settled(call))
        assert log.state().waiting == 2
        with pytest.raises(LogFull, match="2 settlements wait for room"):
            log.begin(begun())
        file_size_limit(resource.RLIM_INFINITY)
        until(lambda: log.state().waiting == 0)
        fill(log, 1)
    assert statuses(tmp_path) == {"ok": 4}
    assert not verify_log(tmp_path).problems


def test_settlements_that_never_find_room_leave_their_calls_unknown(
    tmp_path: Path, opened: Any, begun: Any, settled: Any, file_size_limit: Any
) -> None:
    with opened(tmp_path / "w0") as log:
        call = begun()
        log.begin(call)
        (path,) = open_segments(tmp_path / "w0")
        file_size_limit(path.stat().st_size)
        log.settle(settled(call))
    assert [path] == open_segments(tmp_path / "w0")
    file_size_limit(resource.RLIM_INFINITY)
    with opened(tmp_path / "w0") as log:
        assert [each.call_id for each in log.recovered] == [call.call_id]
    assert statuses(tmp_path) == {"unknown": 1}


def test_a_piece_that_cannot_be_taken_back_is_no_part_of_the_next_line(
    tmp_path: Path, begun: Any, file_size_limit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = SegmentFile.prepare(tmp_path, 1, 0)
    size = segment.path.stat().st_size
    file_size_limit(size + 7)

    def refuse(*_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(LogFull):
            segment.append(b"00000000 the first\n")
    file_size_limit(resource.RLIM_INFINITY)
    call = begun()
    segment.append(begun_line(call))
    lines = list(read_segment(segment.path))
    segment.close()
    assert lines[0] is None
    assert lines[1] is not None
    assert lines[1].row["call_id"] == call.call_id


def test_below_the_reserve_no_call_is_let_in_but_those_in_flight_are_settled(
    tmp_path: Path, begun: Any, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CallLog(tmp_path / "w0", reserve_bytes=1)
    call = begun()
    log.begin(call)
    disk = os.statvfs(tmp_path)
    full = os.statvfs_result((*disk[:4], 0, *disk[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    until(lambda: log.state().refusing is not None)
    with pytest.raises(LogFull, match="bytes are free"):
        log.begin(begun())
    log.settle(settled(call))
    monkeypatch.undo()
    until(lambda: log.state().refusing is None)
    log.begin(begun())
    log.close()
    assert statuses(tmp_path) == {"ok": 1, "unknown": 1}


def test_what_clients_send_cannot_keep_a_segment_from_being_sealed(tmp_path: Path, opened: Any, begun: Any) -> None:
    odd = {"max_tokens": 10**30, "n": 2**63, "temperature": float("nan"), "agent": "\ud800\n\x00{}"}
    wrong_types = {"turns": "three", "temperature": "hot", "stream": 7, "model": 3}
    with opened(tmp_path / "w0") as log:
        for changes in (odd, wrong_types, {}):
            call = begun(**changes)
            log.begin(call)
            log.settle(call)
    rows = rows_of(tmp_path)
    assert [row["max_tokens"] for row in rows] == [None, 512, 512]
    assert [row["temperature"] for row in rows] == [None, None, 0.7]
    assert rows[0]["agent"] == "?\n\x00{}"
    assert rows[1]["turns"] is None
    assert not verify_log(tmp_path).problems


def test_a_receipt_is_found_in_every_state_of_its_segment_and_by_every_worker(
    tmp_path: Path, opened: Any, fill: Any, begun: Any
) -> None:
    with opened(tmp_path / "w0") as log, opened(tmp_path / "w1", rows=2) as other:
        (call,) = fill(log, 1)
        sealed = fill(other, 2, account="acct_2")
        only_begun = begun(receipt_id=new_id(call.at))
        log.begin(only_begun)
        until(lambda: len(read_chain(tmp_path / "w1")) == 1)
        for reader in (log, other):
            assert reader.receipt(call.receipt_id) == ("acct_1", f"jws of {call.call_id}")
            assert reader.receipt(sealed[1].receipt_id) == ("acct_2", f"jws of {sealed[1].call_id}")
            for other_id in (only_begun.receipt_id, new_id(call.at), "", "\ud800", call.receipt_id[:12], "../w0"):
                assert reader.receipt(other_id) is None


def test_an_id_that_says_its_time_is_looked_for_only_where_it_can_be(
    tmp_path: Path, opened: Any, begun: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // 1000
    days = 86_400_000_000
    ids = [new_id(now - 9 * days), new_id(now)]
    for receipt_id, at in zip(ids, (now - 9 * days, now), strict=True):
        with opened(tmp_path / "w0") as log:
            call = begun(at=at, receipt_id=receipt_id)
            log.begin(call)
            log.settle(call, None, "jws")
    looked_at: list[Path] = []
    read_table = pq.read_table

    def counting(path: Path, **settings: Any) -> Any:
        looked_at.append(path)
        return read_table(path, **settings)

    monkeypatch.setattr(pq, "read_table", counting)
    assert find_receipt(tmp_path, ids[1]) == ("acct_1", "jws")
    assert find_receipt(tmp_path, ids[0]) == ("acct_1", "jws")
    assert [path.parent.name for path in looked_at] == ["00000002", "00000001"]
    assert find_receipt(tmp_path, new_id(now - 30 * days)) is None
    assert len(looked_at) == 2


def test_no_pyarrow_is_loaded_in_a_worker(tmp_path: Path) -> None:
    script = "import sys; import stillroom.serve.meter.call_log; sys.exit('pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


def test_the_log_is_readable_by_its_owner_alone(tmp_path: Path, opened: Any, fill: Any) -> None:
    with opened(tmp_path / "w0") as log:
        fill(log, 1)
        (path,) = open_segments(tmp_path / "w0")
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "w0").stat().st_mode & 0o777 == 0o700
