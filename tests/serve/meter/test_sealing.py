"""Sealing that is killed at any of its steps, and done again by the next process: each row once, in one segment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.canonical import canonical_bytes
from stillroom.base.errors import ServeError, StoreError
from stillroom.serve.meter import sealer
from stillroom.serve.meter.chain import append_record, read_chain
from stillroom.serve.meter.rows import canonical_row
from stillroom.serve.meter.segment_file import open_segments
from stillroom.serve.meter.verification import verify_log
from stillroom.store.calls import CALLS, EARLIER_PRINTS, SCHEMAS, call_dataset, sealed_segments
from stillroom.text.prints import EarlierPrints


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


@pytest.fixture
def unsealed(tmp_path: Path, opened: Any, fill: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker's folder, of a process that was killed before it sealed its 30 calls."""

    def nothing(*_: Any) -> None:
        raise StoreError("not now")

    with monkeypatch.context() as patch:
        patch.setattr("stillroom.serve.meter.call_log.seal_before", nothing)
        with opened(tmp_path / "calls" / "w0") as log:
            fill(log, 30)
    return tmp_path / "calls" / "w0"


def kill_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*args: Any) -> None:
        step(*args)
        raise Killed

    return killed


def kill_before(_: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*_: Any) -> None:
        raise Killed

    return killed


def torn_append(folder: Path, *_: Any) -> None:
    (folder / "chain.jsonl").write_bytes(b'{"record":{"v":1,"kind":"segm')
    raise Killed


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("written_by_a_child", kill_before),
        ("written_by_a_child", kill_after),
        ("sync", kill_before),  # the folder has its name
        ("append_record", kill_before),
        ("append_record", lambda _: torn_append),
        ("append_record", kill_after),
    ],
)
def test_a_kill_at_each_step(
    unsealed: Path, name: str, how: Any, opened: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sealer, name, how(getattr(sealer, name)))
        with pytest.raises(Killed):
            sealer.seal_before(unsealed, 2, None)
    assert verify_log(unsealed.parent).problems == []  # what is half done is no false alarm either
    with opened(unsealed) as log:
        assert not log.recovered
        fill(log, 1)
    report = verify_log(unsealed.parent)
    assert (report.problems, report.rows, report.segments) == ([], 31, 2)
    assert Counter(call_dataset(unsealed.parent).to_table()["call_id"].to_pylist()).most_common(1)[0][1] == 1
    assert not open_segments(unsealed)
    assert not list(unsealed.glob(".*"))


def test_a_kill_while_tables_are_written(unsealed: Path, opened: Any) -> None:
    order = json.dumps({"path": str(open_segments(unsealed)[0]), "folder": str(unsealed / ".00000001.part")})
    for pause in (0.3, 0.6, 0.8):
        shutil.rmtree(unsealed / ".00000001.part", ignore_errors=True)
        command = [sys.executable, "-m", "stillroom.serve.meter.sealing", order]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            time.sleep(pause)
            process.kill()
        assert not list(sealed_segments(unsealed))
    with opened(unsealed):
        pass
    assert verify_log(unsealed.parent).rows == 30


def test_a_dead_workers_child_that_still_writes_is_in_nobodys_way(
    unsealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = sealer.written_by_a_child
    folders = []

    def with_another_beside(path: Path, folder: Path) -> dict[str, Any]:
        folders.append(folder)
        if len(folders) == 1:
            sealer.seal_before(unsealed, 2, None)  # as the next worker does
        return write(path, folder)

    monkeypatch.setattr(sealer, "written_by_a_child", with_another_beside)
    with pytest.raises(StoreError):
        sealer.seal_before(unsealed, 2, None)
    assert len(set(folders)) == 2
    report = verify_log(unsealed.parent)
    assert (report.problems, report.rows) == ([], 30)


def test_where_sealing_fails_the_segment_waits_and_the_next_one_waits_for_it(
    tmp_path: Path, opened: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = sealer.written_by_a_child

    def full(*_: Path) -> None:
        raise ServeError("A table cannot be written: No space left on device.")

    with opened(tmp_path / "w0", rows=2) as log:
        with monkeypatch.context() as patch:
            patch.setattr(sealer, "written_by_a_child", full)
            fill(log, 2)
            while len(open_segments(tmp_path / "w0")) < 2 or not log.state().problem:
                time.sleep(0.01)
            assert "No space left" in (log.state().problem or "")
            fill(log, 2)  # calls go on
        monkeypatch.setattr(sealer, "written_by_a_child", written)
    assert [line.record["segment"] for line in read_chain(tmp_path / "w0")] == [1, 2]
    assert verify_log(tmp_path).problems == []


@pytest.mark.usefixtures("in_children")
def test_the_child_says_why_it_could_not(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="cannot be read"):
        sealer.written_by_a_child(tmp_path / "open-00000001.log", tmp_path / "part")


def test_what_is_committed_to_is_the_canonical_form(begun: Any, settled: Any) -> None:
    earlier = EarlierPrints("2026q3-0", "a", None, None, None, None, None, bytes(64))
    for temperature in (0.7, 1.0, 0.0, 1e-7, 1e22, 0.1 + 0.2, None):
        row = asdict(settled(begun(temperature=temperature, agent='é"\n\u2028\x7f')))
        whole = {**row, "sketch": bytes(64).hex(), "receipt": "jws"}
        whole["earlier"] = {"print_key_id": "2026q3-0", "ip_print": "a", "minhash": bytes(64).hex()}
        present = {name: value for name, value in whole.items() if value is not None}
        assert canonical_row(row, bytes(64), asdict(earlier), "jws") == canonical_bytes(present)


def test_the_tables_have_a_column_for_each_field_and_say_what_they_are(begun: Any) -> None:
    assert [*asdict(begun()), "row", "salt"] == CALLS.names
    assert ["call_id", *(field.name for field in fields(EarlierPrints))] == EARLIER_PRINTS.names
    for schema in SCHEMAS.values():
        assert schema.metadata[b"stillroom.schema_version"] == b"1"
    assert CALLS.metadata[b"stillroom.table"] == b"call"


def test_a_chain_goes_on_over_a_line_that_was_cut_short(tmp_path: Path) -> None:
    record = {"v": 1, "kind": "forgetting", "worker": "w0", "at": 1, "rows": 0, "deleted": {}}
    first = append_record(tmp_path, record, None)
    with (tmp_path / "chain.jsonl").open("ab") as file:
        file.write(b'{"record":{"v":1')
    second = append_record(tmp_path, record, None)
    assert read_chain(tmp_path) == [first, second]
    assert second.record["previous"] == first.digest


def test_segments_of_all_workers_are_one_table(tmp_path: Path, opened: Any, fill: Any) -> None:
    assert call_dataset_rows(tmp_path, opened, "w0", 3, fill) == 3
    assert call_dataset_rows(tmp_path, opened, "w1", 4, fill) == 7
    assert call_dataset_rows(tmp_path, opened, "w0", 1, fill) == 8


def call_dataset_rows(calls: Path, opened: Any, worker: str, count: int, fill: Any) -> int:
    with opened(calls / worker) as log:
        fill(log, count)
        (calls / worker / ".00000009.part").mkdir(exist_ok=True)  # nobody reads what has no name yet
    return call_dataset(calls).count_rows()


def test_an_empty_log_is_an_empty_table_and_no_folder_an_error(tmp_path: Path) -> None:
    assert call_dataset(tmp_path).to_table().schema.names == CALLS.names
    with pytest.raises(StoreError, match="cannot be read"):
        call_dataset(tmp_path / "nowhere")
