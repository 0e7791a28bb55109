"""The whole path of the demo at a small size: the real models, real HTTP, killed on the way and run again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stillroom.store.files import read_json
from stillroom.store.tables import count_rows, read_rows

SMALL = [
    "--set=questions.0.count=120",
    "--set=exam.questions.0.count=40",
    "--set=train.epochs=1",
    "--set=train.threads=1",
]
DEMO = [sys.executable, "-m", "stillroom", "demo", *SMALL]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of a demo that was killed while it asked, and what the second run printed."""
    folder = tmp_path_factory.mktemp("demo")
    first = subprocess.Popen(DEMO, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = folder / "runs" / "demo" / "ask.sqlite"
    deadline = time.monotonic() + 300
    while _replies(journal) < 20 and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert _replies(journal) >= 20
    second = subprocess.run(
        DEMO, cwd=folder, capture_output=True, text=True, timeout=800, check=False, env=os.environ | {"COLUMNS": "120"}
    )
    return folder / "runs" / "demo", second


def _replies(journal: Path) -> int:
    if not journal.exists():
        return 0
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=5)
    try:
        return int(connection.execute("select count(*) from replies").fetchone()[0])
    except sqlite3.OperationalError:  # the file is there before its tables are
        return 0
    finally:
        connection.close()


def test_it_finishes_and_says_where_the_report_is(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = demo
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    assert (folder / "report.html").stat().st_size > 100_000


def test_every_question_has_one_reply_and_every_reply_is_kept_or_rejected(
    demo: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = demo
    summary: dict[str, Any] = read_json(folder / "summary.json")
    replies = Counter(row["question_id"] for row in read_rows(folder / "replies.parquet", ["question_id"]))
    assert len(replies) == 120
    assert set(replies.values()) == {1}
    assert summary["asked"] == 120 == summary["kept"] + sum(summary["rejected"].values())
    assert count_rows(folder / "traces.parquet") + count_rows(folder / "held_out.parquet") == summary["kept"]
    assert count_rows(folder / "rejected.parquet") == sum(summary["rejected"].values())


def test_all_four_are_examined_on_the_same_questions(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    summary = read_json(folder / "summary.json")
    for taker in ("teacher", "base", "answers_only", "student"):
        figures = summary[taker]
        assert figures["n"] == 40
        assert 0 <= figures["low"] <= figures["accuracy"] <= figures["high"] <= 1
    # Without its first steps put together, the base knows few answers, and the teacher most.
    assert summary["teacher"]["accuracy"] > 0.75
    assert summary["base"]["accuracy"] < 0.5


def test_the_student_is_trained_on_reasoning_and_the_other_on_answers_alone(
    demo: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = demo
    sft, answers_only = (read_json(folder / "train" / method / "train.json") for method in ("sft", "answers_only"))
    assert sft["traces"] == answers_only["traces"]
    assert sft["trained_tokens"] > 5 * answers_only["trained_tokens"]


def test_a_third_run_asks_and_trains_nothing(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    files = [folder / name for name in ("ask.sqlite", "train/sft/student/model.safetensors", "exam/student.sqlite")]
    before = [file.stat().st_mtime_ns for file in files]
    done = subprocess.run(DEMO, cwd=folder.parent.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert [file.stat().st_mtime_ns for file in files] == before
