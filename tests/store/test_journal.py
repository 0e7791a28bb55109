from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillroom.base.errors import StoreError
from stillroom.base.records import Attempt, Reply
from stillroom.store.journal import Finished, Journal
from stillroom.store.migrations import MIGRATIONS

MakeReply = Callable[..., Reply]
MakeAttempt = Callable[..., Attempt]


def test_a_reply_comes_back_whole(tmp_path: Path, make_reply: MakeReply, make_attempt: MakeAttempt) -> None:
    reply = make_reply(raw=b"\x00\xff" * 5000, receipt="r", fingerprint="f", cached_tokens=0)
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.begin("sha256:a", 5).result() == 0
        assert journal.open_intents() == 1
        journal.record(reply, make_attempt()).result()
        assert journal.open_intents() == 0
        assert journal.reply("sha256:a") == reply
        assert journal.reply("sha256:b") is None
        assert journal.finished("sha256:b") is None
        assert journal.finished("sha256:a") == Finished("ok", None, 4, 9, "http://localhost/v1")
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.recovered == 0
        assert list(journal.replies()) == [reply]
        assert list(journal.attempts()) == [make_attempt()]


def test_every_column_of_a_reply_is_in_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "ask.sqlite"), sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        names = [row[1] for row in connection.execute("pragma table_info(replies)")]
    connection.close()
    assert names == ["seq", *(field.name for field in fields(Reply))]


def test_the_latest_reply_of_a_key_counts_and_none_is_lost(
    tmp_path: Path, make_reply: MakeReply, make_attempt: MakeAttempt
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        for number, status in enumerate(["truncated", "ok"]):
            assert journal.begin("sha256:a", 5).result() == number
            journal.record(make_reply(status=status), make_attempt(attempt=number)).result()
        journal.record(make_reply("sha256:b", question_id="q0"), make_attempt("sha256:b")).result()
        assert [(reply.question_id, reply.status) for reply in journal.replies()] == [("q0", "ok"), ("q1", "ok")]
    with sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        assert connection.execute("select count(*) from replies").fetchone() == (3,)
    connection.close()


def test_an_open_intent_becomes_an_unknown_attempt(tmp_path: Path, make_attempt: MakeAttempt) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        journal.begin("sha256:a", 7).result()
        journal.record_attempt(make_attempt(status="retry", error_kind="http_500")).result()
        journal.begin("sha256:a", 8).result()
        assert [attempt.status for attempt in journal.attempts()] == ["retry"]
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.recovered == 1
        assert list(journal.attempts()) == [
            Attempt("sha256:a", 0, 7, "retry", "http_500", "0.0000012"),
            Attempt("sha256:a", 1, 8, "unknown", "interrupted", None),
        ]
        assert journal.begin("sha256:a", 9).result() == 2


def test_a_write_is_kept_though_nobody_waits_for_it(
    tmp_path: Path, make_reply: MakeReply, make_attempt: MakeAttempt
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        for number in range(200):
            key = f"sha256:{number}"
            journal.record(make_reply(key), make_attempt(key)).cancel()
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert len(list(journal.replies())) == 200


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from stillroom.base.errors import StoreError
        from stillroom.store.journal import Journal
        try:
            Journal(Path(sys.argv[1]))
        except StoreError as error:
            print(error.what)
        """
    )
    with Journal(tmp_path / "ask.sqlite"):
        result = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "ask.sqlite")], capture_output=True, text=True, timeout=120
        )
    assert result.stdout.strip().endswith(f"ask.sqlite is in use by process {os.getpid()}."), result.stderr
    with Journal(tmp_path / "ask.sqlite"):
        pass  # a lock file that is left over locks nobody out


def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ask.sqlite")
    journal.close()
    with pytest.raises(StoreError, match="is closed"):
        journal.begin("sha256:a", 1)


def test_a_write_that_fails_says_so_and_the_journal_goes_on(
    tmp_path: Path, make_reply: MakeReply, make_attempt: MakeAttempt
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        with pytest.raises(StoreError, match="could not be written"):
            journal.record(make_reply(teacher=None), make_attempt()).result()
        assert list(journal.attempts()) == []  # both or neither
        journal.record(make_reply(), make_attempt()).result()
        assert len(list(journal.replies())) == 1


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "ask.sqlite").close()
    with sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        connection.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    for _ in range(2):  # the refusal must not leave the lock behind
        with pytest.raises(StoreError, match="schema version 2; this stillroom reads up to 1"):
            Journal(tmp_path / "ask.sqlite")


def test_what_is_not_a_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ask.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"ask\.sqlite cannot be used"):
        Journal(tmp_path / "ask.sqlite")


KEYS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), KEYS),
        st.tuples(st.just("reply"), KEYS),
        st.tuples(st.just("retry"), KEYS),
        st.tuples(st.just("die"), st.just("")),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_events_leaves_each_attempt_once(
    steps: list[tuple[str, str]], make_reply: MakeReply, make_attempt: MakeAttempt
) -> None:
    """Compared with a model in memory; `die` leaves the process's files as a kill would, and opens what is there."""
    expected: dict[tuple[str, int], str] = {}
    replies: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0" / "ask.sqlite"
        journal = Journal(path)
        for number, (step, key) in enumerate(steps):
            in_flight = [attempt for (of, attempt), status in expected.items() if (of, status) == (key, "open")]
            if step == "begin":
                attempt = journal.begin(key, number).result()
                assert (key, attempt) not in expected
                expected[key, attempt] = "open"
            elif step == "die":
                journal, path = _die(journal, path, Path(folder) / str(number + 1))
                assert journal.recovered == sum(status == "open" for status in expected.values())
                expected = {of: "unknown" if status == "open" else status for of, status in expected.items()}
            elif in_flight and step == "reply":
                journal.record(make_reply(key, asked_at=number), make_attempt(key, in_flight[0])).result()
                expected[key, in_flight[0]], replies[key] = "ok", number
            elif in_flight:
                journal.record_attempt(make_attempt(key, in_flight[0], status="retry")).result()
                expected[key, in_flight[0]] = "retry"
        closed = {of: status for of, status in expected.items() if status != "open"}
        assert {(found.key, found.attempt): found.status for found in journal.attempts()} == closed
        assert {reply.key: reply.asked_at for reply in journal.replies()} == replies
        journal.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1), garbage=st.binary(max_size=40))
def test_a_journal_cut_at_any_byte_holds_all_commits_before_it(
    part: float, garbage: bytes, make_reply: MakeReply, make_attempt: MakeAttempt
) -> None:
    """A write that a kill or a power cut tore leaves a prefix of the commits, whatever stands after them."""
    with tempfile.TemporaryDirectory() as folder:
        path, torn = Path(folder) / "whole" / "ask.sqlite", Path(folder) / "torn" / "ask.sqlite"
        journal = Journal(path)
        for number in range(12):
            key = f"{number:02}"
            journal.begin(key, number).result()
            journal.record(make_reply(key, question_id=key), make_attempt(key)).result()
        torn.parent.mkdir()
        log = path.with_name("ask.sqlite-wal").read_bytes()
        torn.write_bytes(path.read_bytes())
        torn.with_name("ask.sqlite-wal").write_bytes(log[: round(len(log) * part)] + garbage)
        journal.close()
        with Journal(torn) as left:
            found = [reply.key for reply in left.replies()]
            assert found == [f"{number:02}" for number in range(len(found))]
            assert len(list(left.attempts())) in (len(found), len(found) + 1)
            if part == 1:
                assert len(found) == 12


def _die(journal: Journal, path: Path, folder: Path) -> tuple[Journal, Path]:
    shutil.copytree(path.parent, folder)
    (folder / "ask.sqlite-shm").unlink(missing_ok=True)  # rebuilt from the log, as after a reboot
    journal.close()
    return Journal(folder / path.name), folder / path.name


def test_futures_are_the_standard_ones(tmp_path: Path) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert isinstance(journal.begin("a", 1), Future)  # so that asyncio.wrap_future takes them
