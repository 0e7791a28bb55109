from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError
from stillroom.base.records import Attempt, Reply
from stillroom.store.journal import Finished, Intent, Journal, Outcome, Spent
from stillroom.store.migrations import MIGRATIONS

MakeReply = Callable[..., Reply]
MakeOutcome = Callable[..., Outcome]
A, B = digest("a"), digest("b")


def begin(journal: Journal, *names: str, at: int = 5, usd: str | None = None, tokens: int | None = None) -> range:
    return journal.begin([Intent(digest(name), at, usd, tokens) for name in names]).result()


def test_a_reply_comes_back_whole(tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome) -> None:
    reply = make_reply(raw=b"\x00\xff" * 5000, receipt="r", fingerprint="f", cached_tokens=0)
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert begin(journal, "a", usd="0.5", tokens=90) == range(1)
        assert journal.open_intents() == 1
        journal.settle([make_outcome(0, reply)]).result()
        assert journal.open_intents() == 0
        assert journal.reply(A) == reply
        assert journal.reply(B) is None
        assert journal.finished([A, B]) == {A: Finished("ok", None, 4, 9, "http://localhost/v1", reply.asked_at)}
        request_id = journal.request_id(0)
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.recovered == 0
        assert list(journal.replies()) == [reply]
        assert list(journal.attempts()) == [Attempt(A, 0, 5, "ok", None, "0.0000012", 7, "0.5", 90, request_id)]


def test_every_column_of_a_reply_is_in_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "ask.sqlite"), sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        names = [row[1] for row in connection.execute("pragma table_info(replies)")]
    connection.close()
    assert sorted(names) == sorted(["seq", "body", *(field.name for field in fields(Reply))])


def test_the_latest_reply_of_a_key_counts_and_none_is_lost(
    tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        for number, status in enumerate(["truncated", "ok"]):
            assert begin(journal, "a") == range(number, number + 1)
            journal.settle([make_outcome(number, make_reply(status=status))]).result()
        begin(journal, "b")
        journal.settle([make_outcome(2, make_reply("b", question_id="q0"))]).result()
        assert [(reply.question_id, reply.status) for reply in journal.replies()] == [("q0", "ok"), ("q1", "ok")]
        assert [attempt.attempt for attempt in journal.attempts() if attempt.key == A] == [0, 1]
    with sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        assert connection.execute("select count(*) from replies").fetchone() == (3,)
    connection.close()


def test_a_later_failure_hides_no_reply_that_was_paid_for(
    tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        for number, status in enumerate(["truncated", "failed"]):
            begin(journal, "a")
            journal.settle([make_outcome(number, make_reply(status=status))]).result()
        found = journal.reply(A)
        assert found is not None
        assert found.status == journal.finished([A])[A].status == next(journal.replies()).status == "truncated"


def test_samples_of_one_call_share_its_body(tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome) -> None:
    samples = [make_reply(str(sample), sample=sample, choice=sample, raw=os.urandom(9000)) for sample in range(4)]
    samples = [replace(sample, raw=samples[0].raw) for sample in samples]
    with Journal(tmp_path / "ask.sqlite") as journal:
        begin(journal, "0")
        journal.settle([make_outcome(0, *samples)]).result()
        assert list(journal.replies()) == samples
        assert journal.replies_of([sample.key for sample in samples]) == {sample.key: sample for sample in samples}
    assert (tmp_path / "ask.sqlite").stat().st_size < 2 * 9000 + 32_768


def test_an_open_intent_becomes_an_unknown_attempt(tmp_path: Path, make_outcome: MakeOutcome) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        begin(journal, "a", at=7)
        journal.settle([make_outcome(0, status="retry", error_kind="http_500")]).result()
        begin(journal, "a", at=8, usd="0.25", tokens=40)
        assert [attempt.status for attempt in journal.attempts()] == ["retry"]
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.recovered == 1
        ids = [journal.request_id(number) for number in range(2)]
        assert list(journal.attempts()) == [
            Attempt(A, 0, 7, "retry", "http_500", "0.0000012", 7, None, None, ids[0]),
            Attempt(A, 1, 8, "unknown", "interrupted", None, None, "0.25", 40, ids[1]),
        ]
        assert begin(journal, "a") == range(2, 3)


def test_what_is_spent_counts_unknown_outcomes_at_their_worst(tmp_path: Path, make_outcome: MakeOutcome) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.spent() == Spent(0, Decimal(0), 0, 0, Decimal(0))
        begin(journal, "a", "b", "c", "d", usd="0.1", tokens=100)
        journal.settle(
            [
                make_outcome(0, cost_usd="0.03", tokens=30),
                make_outcome(1, status="unknown", cost_usd=None, tokens=None),
                make_outcome(2, status="retry", error_kind="http_429", cost_usd=None, tokens=None),
            ]
        ).result()
    with Journal(tmp_path / "ask.sqlite") as journal:  # the fourth was in flight
        assert journal.spent() == Spent(4, Decimal("0.23"), 230, 2, Decimal("0.2"))


def test_a_write_is_kept_though_nobody_waits_for_it(
    tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        for number in range(200):
            begin(journal, str(number))
            journal.settle([make_outcome(number, make_reply(str(number)))]).cancel()
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
        begin(journal, "a")


def test_a_write_that_fails_says_so_and_the_journal_goes_on(
    tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    with Journal(tmp_path / "ask.sqlite") as journal:
        begin(journal, "a")
        with pytest.raises(StoreError, match="could not be written"):
            journal.settle([make_outcome(0, make_reply(teacher=None))]).result()
        assert list(journal.attempts()) == []  # both or neither
        journal.settle([make_outcome(0, make_reply())]).result()
        assert len(list(journal.replies())) == 1


def test_a_full_disk_says_so_and_what_was_written_stays(
    tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    path = tmp_path / "ask.sqlite"
    with Journal(path) as journal:
        journal._writer.execute("pragma max_page_count = 40").fetchall()  # SQLite's own full disk
        written = 0

        def fill() -> None:
            nonlocal written
            for number in range(100):
                begin(journal, str(number))
                journal.settle([make_outcome(number, make_reply(str(number), raw=os.urandom(5000)))]).result()
                written += 1

        with pytest.raises(StoreError, match=r"ask\.sqlite could not be written: database or disk is full"):
            fill()
    with Journal(path) as journal:  # with room again, it goes on
        assert len(list(journal.replies())) == written > 3
        assert journal.recovered <= 1
        begin(journal, "more")


def test_replies_are_read_again_once_for_each_reader(
    tmp_path: Path, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    calls: list[str] = []

    def derive(reply: Reply) -> Reply:
        calls.append(reply.key)
        return replace(reply, finish_reason="length", status="truncated") if reply.key == A else reply

    with Journal(tmp_path / "ask.sqlite") as journal:
        begin(journal, "a", "b")
        journal.settle([make_outcome(0, make_reply()), make_outcome(1, make_reply("b"))]).result()
        assert journal.rederive(1, derive) == 1
        assert journal.rederive(1, derive) == 0
        assert calls == [A, B]
        assert journal.finished([A])[A].status == "truncated"
        assert journal.reply(B) == make_reply("b")
        assert journal.rederive(2, derive) == 0  # read again, and nothing was new
        assert len(calls) == 4


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "ask.sqlite").close()
    with sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        connection.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    for _ in range(2):  # the refusal must not leave the lock behind
        with pytest.raises(StoreError, match="schema version 3; this stillroom reads up to 2"):
            Journal(tmp_path / "ask.sqlite")


def test_a_journal_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ask.sqlite") as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("pragma user_version = 1")
        connection.execute("insert into attempts values (?, 0, 5, 'retry', 'http_500', null)", (A,))
        connection.execute("insert into attempts values (?, 1, 6, 'open', null, null)", (A,))
        raw = zstandard.compress(b'{"choices": []}')
        values = (1, A, "q", 0, "t", None, None, "http://h/v1", 6, 7, "ok", None, "none", "stop", 1, None, 2, None)
        row = (*values, "provider", "0.5", "p", None, 9, raw)
        connection.execute(f"insert into replies values ({', '.join('?' * len(row))})", row)
    connection.close()
    with Journal(tmp_path / "ask.sqlite") as journal:
        found = journal.reply(A)
        assert found is not None
        assert (found.raw, found.cost_usd, found.choice, found.http_status) == (b'{"choices": []}', "0.5", 0, None)
        assert [attempt.status for attempt in journal.attempts()] == ["retry", "unknown"]


def test_what_is_not_a_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ask.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"ask\.sqlite cannot be used"):
        Journal(tmp_path / "ask.sqlite")


KEYS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.lists(KEYS, min_size=1, max_size=4)),
        st.tuples(st.just("reply"), st.lists(KEYS, max_size=4)),
        st.tuples(st.just("retry"), st.lists(KEYS, max_size=4)),
        st.tuples(st.just("die"), st.just([])),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_events_leaves_each_attempt_once(
    steps: list[tuple[str, list[str]]], make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    """Compared with a model in memory; `die` leaves the process's files as a kill would, and opens what is there."""
    status: list[str] = []
    names: list[str] = []
    replies: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0" / "ask.sqlite"
        journal = Journal(path)
        for step_number, (step, wanted) in enumerate(steps):
            if step == "begin":
                assert begin(journal, *wanted) == range(len(status), len(status) + len(wanted))
                names += wanted
                status += ["open"] * len(wanted)
            elif step == "die":
                journal, path = _die(journal, path, Path(folder) / str(step_number + 1))
                assert journal.recovered == status.count("open")
                status = ["unknown" if one == "open" else one for one in status]
            else:
                chosen = {name: number for number, name in enumerate(names) if status[number] == "open"}
                numbers = [chosen[name] for name in dict.fromkeys(wanted) if name in chosen]
                outcomes = []
                for number in numbers:
                    status[number] = "ok" if step == "reply" else "retry"
                    came = [make_reply(names[number], asked_at=step_number)] if step == "reply" else []
                    replies |= {names[number]: step_number} if came else {}
                    outcomes.append(make_outcome(number, *came, status=status[number]))
                journal.settle(outcomes).result()
        found = sorted((one.request_id, one.key, one.status) for one in journal.attempts())
        numbered = enumerate(zip(names, status, strict=True))
        assert found == sorted(
            (journal.request_id(number), digest(name), one) for number, (name, one) in numbered if one != "open"
        )
        assert {reply.key: reply.asked_at for reply in journal.replies()} == {
            digest(name): at for name, at in replies.items()
        }
        journal.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1), garbage=st.binary(max_size=40))
def test_a_journal_cut_at_any_byte_holds_all_commits_before_it(
    part: float, garbage: bytes, make_reply: MakeReply, make_outcome: MakeOutcome
) -> None:
    """A write that a kill or a power cut tore leaves a prefix of the commits, whatever stands after them."""
    with tempfile.TemporaryDirectory() as folder:
        path, torn = Path(folder) / "whole" / "ask.sqlite", Path(folder) / "torn" / "ask.sqlite"
        journal = Journal(path)
        for number in range(12):
            begin(journal, str(number), at=number)
            journal.settle([make_outcome(number, make_reply(str(number), question_id=f"{number:02}"))]).result()
        torn.parent.mkdir()
        log = path.with_name("ask.sqlite-wal").read_bytes()
        torn.write_bytes(path.read_bytes())
        torn.with_name("ask.sqlite-wal").write_bytes(log[: round(len(log) * part)] + garbage)
        journal.close()
        with Journal(torn) as left:
            found = [reply.question_id for reply in left.replies()]
            assert found == [f"{number:02}" for number in range(len(found))]
            assert len(list(left.attempts())) in (len(found), len(found) + 1)
            if part == 1:
                assert len(found) == 12


def _die(journal: Journal, path: Path, folder: Path) -> tuple[Journal, Path]:
    shutil.copytree(path.parent, folder)
    (folder / "ask.sqlite-shm").unlink(missing_ok=True)  # rebuilt from the log, as after a reboot
    journal.close()
    return Journal(folder / path.name), folder / path.name
