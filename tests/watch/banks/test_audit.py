"""The audit log: what is written down, and what shows that it was touched."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from stillroom.base.errors import StoreError, UsageError
from stillroom.watch.banks.audit import LOOKED, AuditRecord, audit_problems, read_audit, record_act, record_look


def act(watch: Path, what: str = LOOKED, reason: str = "a finding") -> AuditRecord:
    return record_act(watch, what, by="Olga", role="owner", reason=reason, detail={"bank": "gsm8k"})


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    for number in range(4):
        act(tmp_path, reason=f"finding {number}")
    return tmp_path


def lines(watch: Path) -> list[bytes]:
    return (watch / "audit.jsonl").read_bytes().splitlines(keepends=True)


def write(watch: Path, *changed: bytes) -> None:
    (watch / "audit.jsonl").write_bytes(b"".join(changed))


def test_each_record_names_the_one_before(watch: Path) -> None:
    records = read_audit(watch)
    assert [record.index for record in records] == [0, 1, 2, 3]
    assert [record.previous for record in records] == [None, *(record.digest for record in records[:-1])]
    assert [record.reason for record in records] == [f"finding {number}" for number in range(4)]
    assert audit_problems(watch) == []
    assert audit_problems(watch, seen=records[2].digest) == []


def test_a_log_that_is_not_there_is_whole_and_has_nothing(tmp_path: Path) -> None:
    assert (read_audit(tmp_path), audit_problems(tmp_path)) == ([], [])
    assert len(audit_problems(tmp_path, seen="sha256:00")) == 1


@pytest.mark.parametrize("field", ["at", "act", "by", "role", "reason", "detail"])
def test_any_field_that_is_altered_shows_in_the_next_line(watch: Path, field: str) -> None:
    first, second, third, fourth = lines(watch)
    value = json.loads(second)
    value[field] = {"at": 1, "detail": {"bank": "other"}}.get(field, "somebody else")
    write(watch, first, json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n", third, fourth)
    assert audit_problems(watch) == ["Line 3 does not follow the line before it."]


def test_a_line_that_is_dropped_moved_or_added_shows(watch: Path) -> None:
    first, second, third, fourth = lines(watch)
    for changed in ([first, third, fourth], [second, third, fourth], [first, third, second, fourth]):
        write(watch, *changed)
        assert "does not follow" in audit_problems(watch)[0]
    write(watch, first, second, second, third, fourth)
    assert "Line 3" in audit_problems(watch)[0]


def test_an_end_that_is_cut_off_shows_by_a_digest_that_was_kept(watch: Path) -> None:
    last = read_audit(watch)[-1].digest
    write(watch, *lines(watch)[:-1])
    assert audit_problems(watch) == []  # nothing in the file itself says so
    assert "cut short" in audit_problems(watch, seen=last)[0]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not JSON\n",
        b"[]\n",
        b"{}\n",
        b'"\xff"\n',
        b'{"index":4,"at":true,"act":"a","by":"b","role":"owner","reason":"r","detail":{},"previous":null}\n',
        b'{"index":4,"at":1e99,"act":"a","by":"b","role":"owner","reason":"r","detail":{},"previous":null}\n',
        b'{"index":4,"at":999999999999999999,"act":"a","by":"b","role":"owner","reason":"r","detail":{},"previous":1}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_no_record_is_named_by_its_line(watch: Path, line: bytes) -> None:
    write(watch, *lines(watch), line)
    assert audit_problems(watch) == ["Line 5 is not as a record is written."]
    with pytest.raises(StoreError, match="line 5"):
        read_audit(watch)
    with pytest.raises(StoreError, match="line 5"):
        act(watch)


def test_another_way_of_writing_a_record_shows(watch: Path) -> None:
    first, *rest = lines(watch)
    write(watch, json.dumps(json.loads(first)).encode() + b"\n", *rest)
    assert audit_problems(watch)[0] == "Line 1 is not as a record is written."


def test_a_line_that_a_kill_cut_short_does_not_count(watch: Path) -> None:
    write(watch, *lines(watch), b'{"index":4,"at":17')
    assert len(read_audit(watch)) == 4
    assert act(watch).index == 4
    assert audit_problems(watch) == []


@pytest.mark.parametrize(
    ("by", "role", "reason"),
    [
        ("", "owner", "why"),
        (" ", "owner", "why"),
        ("Olga", "owner", ""),
        ("Olga", "owner", "\t"),
        ("Olga", "owner", "two\nlines"),
        ("Olga", "owner", "x" * 501),
        ("Olga\x1b[2J", "owner", "why"),
        ("\ud83d", "owner", "why"),
        ("Olga", "", "why"),
    ],
)
def test_somebody_is_named_with_a_role_and_a_reason(tmp_path: Path, by: str, role: str, reason: str) -> None:
    with pytest.raises(UsageError):
        record_act(tmp_path, LOOKED, by=by, role=role, reason=reason)
    assert read_audit(tmp_path) == []


def test_who_was_shown_what_a_finding_says_of_banks_is_written_down(watch: Path) -> None:
    record = record_look(watch, by="Rita", role="operator", findings=["fin_7"], banks=["gsm8k", "math"])
    assert read_audit(watch)[-1] == record
    assert (record.act, record.by, record.role, record.reason) == (LOOKED, "Rita", "operator", "finding fin_7")
    assert record.detail == {"findings": ["fin_7"], "banks": ["gsm8k", "math"]}
    before = len(read_audit(watch))
    assert record_look(watch, by="Rita", role="operator", findings=["fin_7"], banks=["gsm8k", "math"]) == record
    assert len(read_audit(watch)) == before
    record_look(watch, by="Rolf", role="operator", findings=["fin_7"], banks=["gsm8k", "math"])
    assert record_look(watch, by="Rita", role="operator", findings=["a", "b"], banks=["math"]).reason == "2 findings"
    assert len(read_audit(watch)) == before + 2


def test_acts_of_several_processes_are_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_ten_acts, args=(tmp_path,)) for _ in range(4)]
    for each in others:
        each.start()
    for each in others:
        each.join(60)
    assert [each.exitcode for each in others] == [0, 0, 0, 0]
    assert (len(read_audit(tmp_path)), audit_problems(tmp_path)) == (40, [])


def _ten_acts(watch: Path) -> None:
    for _ in range(10):
        act(watch)
