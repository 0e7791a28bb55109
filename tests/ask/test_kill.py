"""`kill -9` at random moments: each question ends with one reply, and no call is lost sight of."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stillroom.base.records import Message, Question
from stillroom.store.tables import query, read_rows, write_questions
from stillroom.testing import MisbehavingTeacher

QUESTIONS = 300
KILLS = 20
CONCURRENCY = 8
PATIENCE_S = 300

ASK = """
import sys
from pathlib import Path
from stillroom.ask.run import ask
from stillroom.ask.settings import AskSettings, TeacherSettings

teacher = TeacherSettings(model="teacher", base_url=sys.argv[2], price="none")
ask(Path(sys.argv[1]), teacher, AskSettings(concurrency=int(sys.argv[3])))
"""


def test_killed_twenty_times_each_question_has_one_reply_and_each_call_is_counted(tmp_path: Path) -> None:
    texts = [f"Question {number}?" for number in range(QUESTIONS)]
    write_questions(
        tmp_path / "questions.parquet",
        [Question(id=text, messages=(Message(role="user", content=text),), source="test") for text in texts],
    )
    draw = random.Random(11)
    open_at_kills: set[tuple[str, int]] = set()
    with MisbehavingTeacher(delay_s=(0.001, 0.02)) as teacher:
        for _ in range(KILLS):
            _kill_at_a_random_moment(_start(tmp_path, teacher.base_url), teacher, draw)
            open_at_kills |= _open_intents(tmp_path / "ask.sqlite")
        before_the_end = teacher.requests
        in_flight_at_kills = len(open_at_kills)
        last = _start(tmp_path, teacher.base_url)
        _, errors = last.communicate(timeout=PATIENCE_S)
        assert last.returncode == 0, errors.decode()
        asked, asked_per_question = teacher.requests, dict(teacher.by_question)

    assert before_the_end < QUESTIONS + in_flight_at_kills, "the kills came too late to interrupt anything"
    assert in_flight_at_kills >= KILLS, "the kills hit hardly any call"
    replies = list(read_rows(tmp_path / "replies.parquet", ["question_id", "status", "answer"]))
    assert [row["question_id"] for row in replies] == texts
    assert {row["status"] for row in replies} == {"ok"}
    assert asked_per_question.keys() == set(texts)
    # What was asked more than once was in flight at a kill; an intent may also have been killed before it was sent.
    assert asked <= QUESTIONS + in_flight_at_kills <= QUESTIONS + KILLS * CONCURRENCY
    counts = query(
        "select status, error_kind, count(*) as n from attempts group by all", attempts=tmp_path / "attempts.parquet"
    ).to_pylist()
    by_status = {(row["status"], row["error_kind"]): row["n"] for row in counts}
    assert by_status.pop(("ok", None)) == QUESTIONS
    assert by_status.pop(("unknown", "interrupted"), 0) == in_flight_at_kills
    assert not by_status
    assert asked <= sum(row["n"] for row in counts)


def _start(folder: Path, base_url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", ASK, str(folder), base_url, str(CONCURRENCY)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _kill_at_a_random_moment(
    process: subprocess.Popen[bytes], teacher: MisbehavingTeacher, draw: random.Random
) -> None:
    """Some die while they start or open the journal; most when the teacher has been asked a few times more."""
    until = time.monotonic() + PATIENCE_S
    if draw.random() < 0.25:
        time.sleep(draw.uniform(0, 1))
    else:
        target = teacher.requests + draw.randint(0, 18)
        while teacher.requests < target and process.poll() is None and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(draw.uniform(0, 0.005))
    process.kill()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (0, -9), errors.decode()


def _open_intents(journal: Path) -> set[tuple[str, int]]:
    """Key and number of the calls that the kill cut off, read from a copy: opening the files would tidy them up."""
    with tempfile.TemporaryDirectory() as folder:
        for path in journal.parent.glob("ask.sqlite*"):
            shutil.copy(path, folder)
        connection = sqlite3.connect(Path(folder) / journal.name)
        try:
            (has_table,) = connection.execute("select count(*) from sqlite_master where name = 'attempts'").fetchone()
            if not has_table:
                return set()
            return set(connection.execute("select key, number from attempts where status = 'open'"))
        finally:
            connection.close()
