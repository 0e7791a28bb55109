"""A million questions on this machine, killed three times on the way: time, memory, file size, and what a resume costs.

    python benchmarks/ask_million.py [--questions 1000000] [--kills 3]

The teacher is one local nginx that answers at once, so that the client is what is measured. Every start is a process of
its own; the kills are `kill -9`. Memory is the resident memory of that process, sampled every second: printed as the
median of each quarter of the questions. Afterwards the tables are compared with the questions, row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from stillroom.base.records import Message, Question
from stillroom.store.tables import query, write_questions

REPLY = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1760000000, "model": "teacher-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "The answer is 42.",
        "reasoning_content": "First I look at the numbers. Then I add them, one after the other."}}],
    "usage": {"prompt_tokens": 21, "completion_tokens": 24, "total_tokens": 45},
}  # fmt: skip

ASK = """
import json, sys
from pathlib import Path
from stillroom.ask.run import ask
from stillroom.ask.settings import AskSettings, TeacherSettings

class Told:
    def update(self, stage, done, total, **facts):
        Path(sys.argv[3]).write_text(str(done))
    def say(self, sentence):
        print(sentence, file=sys.stderr)

teacher = TeacherSettings(model="teacher", base_url=sys.argv[2], price="none")
facts = ask(Path(sys.argv[1]), teacher, AskSettings(concurrency=128), Told())
print(json.dumps(facts))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="kept afterwards; by default a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, nginx(Path(scratch)) as base_url:
        folder = arguments.folder or Path(scratch) / "run"
        measure(folder, base_url, arguments.questions, arguments.kills)


def measure(folder: Path, base_url: str, questions: int, kills: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    write_questions(folder / "questions.parquet", made(questions))
    print(f"{questions:,} questions written in {time.monotonic() - began:.0f} s", flush=True)
    samples: list[tuple[int, float]] = []
    began = time.monotonic()
    for kill in range(kills):
        target = questions * (kill + 1) // (kills + 1)
        done = start(folder, base_url, samples, kill_at=target)
        print(f"killed at {done:,} after {time.monotonic() - began:.0f} s", flush=True)
    start(folder, base_url, samples)
    seconds = time.monotonic() - began
    print(f"all asked and written in {seconds:.0f} s: {questions / seconds:,.0f} a second, starts included")
    for quarter in range(4):
        inside = [mb for done, mb in samples if quarter * questions / 4 <= done < (quarter + 1) * questions / 4]
        if inside:
            print(
                f"resident memory, quarter {quarter + 1}: median {statistics.median(inside):.0f} MB,"
                f" most {max(inside):.0f} MB"
            )
    print(f"resident memory at its most, writing the tables included: {max(mb for _, mb in samples):.0f} MB")
    for name in ("ask.sqlite", "replies.parquet", "attempts.parquet", "questions.parquet"):
        print(f"{name}: {(folder / name).stat().st_size / 1e6:,.0f} MB")
    began = time.monotonic()
    passed_over = resume(folder, base_url)
    print(f"resume of what is finished: {passed_over:,} requests passed over in {time.monotonic() - began:.1f} s")
    look_at_the_tables(folder, questions)


def made(count: int) -> Iterator[Question]:
    for number in range(count):
        text = f"A shop sells {number % 97} pens for {number % 89} coins each, order {number}. What do they cost?"
        yield Question(id=f"q{number}", messages=(Message(role="user", content=text),), source="made", kind="none")


def start(folder: Path, base_url: str, samples: list[tuple[int, float]], kill_at: int | None = None) -> int:
    """One process that asks; killed when `kill_at` questions are done. Returns how many were done."""
    told = folder / "done.txt"
    told.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", ASK, str(folder), base_url, str(told)], stdout=subprocess.PIPE, text=True
    )
    watched = psutil.Process(process.pid)
    done = 0
    last = 0.0
    while process.poll() is None:
        time.sleep(0.05)
        done = int(told.read_text() or done) if told.exists() else 0
        if time.monotonic() - last >= 1:
            last = time.monotonic()
            samples.append((done, watched.memory_info().rss / 1e6))
        if kill_at is not None and done >= kill_at:
            process.send_signal(signal.SIGKILL)
    process.communicate()
    expected = 0 if kill_at is None else -signal.SIGKILL
    if process.returncode != expected:
        sys.exit(f"the process ended with {process.returncode}")
    return done


def resume(folder: Path, base_url: str) -> int:
    """What a start costs that finds everything done: the journal opened, every request made and looked up."""
    script = ASK.replace("from stillroom.ask.run import ask", "from stillroom.ask.passes import Asking").replace(
        "facts = ask(Path(sys.argv[1]), teacher, AskSettings(concurrency=128), Told())",
        textwrap.dedent(
            """
            from stillroom.store.journal import Journal
            from stillroom.base.progress import Silent
            with Journal(Path(sys.argv[1]) / "ask.sqlite") as journal:
                asking = Asking(Path(sys.argv[1]), teacher, AskSettings(concurrency=128), journal, Silent(), None)
                counts = asking.all_questions()
            assert counts.calls == 0
            facts = counts.settled
            """
        ),
    )
    command = [sys.executable, "-c", script, str(folder), base_url, os.devnull]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def look_at_the_tables(folder: Path, questions: int) -> None:
    (found,) = query(
        "select count(*) as rows, count(distinct question_id) as ids, count(distinct key) as keys,"
        " count(*) filter (where status = 'ok' and answer = 'The answer is 42.') as right from replies",
        replies=folder / "replies.parquet",
    ).to_pylist()
    calls = query(
        "select status, count(*) as calls from attempts group by status order by status",
        attempts=folder / "attempts.parquet",
    ).to_pylist()
    print("calls:", ", ".join(f"{row['calls']:,} {row['status']}" for row in calls))
    whole = {"rows": questions, "ids": questions, "keys": questions, "right": questions}
    print("every question has exactly one reply" if found == whole else f"NOT WHOLE: {found}")
    if found != whole:
        sys.exit(1)


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """One worker that gives the same reply to everything."""
    program = shutil.which("nginx") or sys.exit("nginx is not installed (Debian: apt-get install nginx-light)")
    body = json.dumps(REPLY).replace("'", "")
    port = 18743
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""
        worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
        events {{ worker_connections 2048; }}
        http {{
            access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
            server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{body}'; }} }}
        }}
        """
    )
    process = subprocess.Popen([program, "-c", str(configuration), "-p", str(folder)])
    time.sleep(1)
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
