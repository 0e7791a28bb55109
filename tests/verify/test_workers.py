"""math and task: the verdicts of the real math-verify and the real reasoning-gym, in processes with a hard limit."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import reasoning_gym  # type: ignore[import-untyped]

from stillroom.base.records import Message, Question
from stillroom.verify import verify, verify_many
from stillroom.verify.math import verify_math
from stillroom.verify.task import verify_task
from stillroom.verify.workers import Workers


@pytest.fixture(scope="module")
def math_workers() -> Iterator[Workers]:
    workers = Workers("math", limit_s=20.0, count=2)
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def task_workers() -> Iterator[Workers]:
    workers = Workers("task", limit_s=20.0, count=2)
    yield workers
    workers.close()


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ("\\frac{1}{2}", "The answer is 0.5", "right"),
        ("\\frac{1}{2}", "so $x=\\frac{1}{2}$", "right"),
        ("x^2+2x+1", "\\boxed{(x+1)^2}", "right"),
        ("11\\sqrt2", "\\boxed{11\\sqrt{2}}", "right"),
        ("x<5", "$(-\\infty,5)$", "right"),
        ("(-\\infty,5)", "$x<5$", "right"),
        ("\\{1,2\\}", "$2, 1$", "right"),
        ("10,000", "\\boxed{10{,}000}", "right"),
        ("6 - 5i", "$6-5i$", "right"),
        ("\\text{Evelyn}", "\\boxed{\\text{Evelyn}}", "right"),
        ("$\\boxed{7}$", "7", "right"),
        ("\\$76.80", "\\boxed{\\$76.80}", "right"),
        ("(1,2)", "$(2,1)$", "wrong"),
        ("1/3", "0.3333", "unsure"),
        ("4", "\\boxed{3} or \\boxed{4}", "unsure"),
        ("10", "I do not know", "wrong"),
        ("10", "", "wrong"),
    ],
)
def test_math(math_workers: Workers, reference: str, answer: str, verdict: str) -> None:
    assert verify_math(reference, answer, math_workers).verdict == verdict


def test_math_that_never_ends_is_unsure_and_the_pool_goes_on() -> None:
    workers = Workers("math", limit_s=1.0, count=1)
    endless = verify_math("2", "$\\binom{1000000000}{500000000}$", workers)
    assert endless.verdict == "unsure"
    assert "1 seconds" in endless.reason or "ended" in endless.reason or "raised" in endless.reason
    workers.limit_s = 60.0
    assert verify_math("2", "$2$", workers).verdict == "right"
    workers.close()


def test_a_job_over_the_limit_is_killed() -> None:
    workers = Workers("math", limit_s=60.0, count=1)
    assert verify_math("2", "2", workers).verdict == "right"
    (idle,) = workers._idle
    os.kill(idle.process.pid, signal.SIGSTOP)  # A process that does nothing more: the same to us as one that hangs.
    workers.limit_s = 0.5
    judgement = verify_math("2", "2", workers)
    assert (judgement.verdict, judgement.reason) == ("unsure", "verifying took more than 0.5 seconds")
    assert idle.process.returncode == -signal.SIGKILL
    workers.close()


def test_a_worker_that_died_costs_one_verdict() -> None:
    workers = Workers("math", limit_s=60.0, count=1)
    assert verify_math("2", "2", workers).verdict == "right"
    workers._idle[0].process.kill()
    assert verify_math("2", "2", workers).reason == "the verifying process ended"
    assert verify_math("2", "2", workers).verdict == "right"
    workers.close()


def test_threads_share_the_pool(math_workers: Workers) -> None:
    with ThreadPoolExecutor(max_workers=6) as threads:
        verdicts = list(threads.map(lambda n: verify_math(str(n), f"${n + n % 2}$", math_workers).verdict, range(40)))
    assert verdicts == ["right" if n % 2 == 0 else "wrong" for n in range(40)]
    assert len(math_workers._idle) <= 2


def entry_of(task: str, **settings: Any) -> dict[str, Any]:
    entry: dict[str, Any] = reasoning_gym.create_dataset(task, seed=7, size=1, **settings)[0]
    return entry


@pytest.mark.parametrize(
    "task", ["leg_counting", "number_sorting", "chain_sum", "calendar_arithmetic", "zebra_puzzles"]
)
@pytest.mark.parametrize(
    "frame", ["{}", "<answer>{}</answer>", "So it is clear.\n\nThe answer is {}.", "**Answer:** {}"]
)
def test_task_answers_in_every_frame(task_workers: Workers, task: str, frame: str) -> None:
    entry = entry_of(task)
    meta = {"task": task, "entry": entry}
    assert verify_task(meta, frame.format(entry["answer"]), task_workers).verdict == "right"
    wrong = verify_task(meta, frame.format("banana"), task_workers)
    assert wrong.verdict == "wrong"
    assert wrong.reason.startswith("scored 0")


def test_a_partial_score_is_wrong_and_says_its_score(task_workers: Workers) -> None:
    entry = entry_of("letter_counting")
    judgement = verify_task({"task": "letter_counting", "entry": entry}, f"maybe {entry['answer']}", task_workers)
    assert judgement.verdict == "wrong"
    assert 0 < float(judgement.reason.removeprefix("scored ")) < 1


def test_a_scorer_that_raises_is_unsure(task_workers: Workers) -> None:
    judgement = verify_task({"task": "leg_counting", "entry": {}}, "8", task_workers)
    assert judgement.verdict == "unsure"
    assert "raised KeyError" in judgement.reason


def test_what_is_no_task_is_unsure(task_workers: Workers) -> None:
    assert "no task 'knitting'" in verify_task({"task": "knitting", "entry": {}}, "1", task_workers).reason
    assert verify_task({}, "1", task_workers).verdict == "unsure"


@pytest.mark.parametrize(
    "attack",
    [
        "[__import__('os').system('touch {path}')]",
        "[open('{path}', 'w')]",
        "[__import__('pathlib').Path('{path}').touch()]",
        "[__import__('subprocess').run(['touch', '{path}'])]",
        "[__import__('os').mkdir('{path}')]",
    ],
)
def test_an_answer_that_is_a_program_does_no_harm(task_workers: Workers, tmp_path: Path, attack: str) -> None:
    # Some scorers eval the answer, if it is wrong and opens with a bracket.
    path = tmp_path / "harm"
    meta = {"task": "string_insertion", "entry": entry_of("string_insertion")}
    assert verify_task(meta, attack.format(path=path), task_workers).verdict != "right"
    assert not path.exists()


def test_an_answer_that_is_a_program_opens_no_socket(task_workers: Workers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1.0)
        attack = f"[__import__('socket').create_connection(('127.0.0.1', {server.getsockname()[1]}))]"
        meta = {"task": "string_insertion", "entry": entry_of("string_insertion")}
        assert verify_task(meta, attack, task_workers).verdict != "right"
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_worker_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_API_KEY", "hush")
    workers = Workers("math", limit_s=60.0, count=1)
    assert verify_math("2", "2", workers).verdict == "right"
    environment = Path(f"/proc/{workers._idle[0].process.pid}/environ")
    if environment.exists():
        assert b"hush" not in environment.read_bytes()
    workers.close()


def test_workers_die_with_their_parent() -> None:
    program = """
        import os, signal
        from stillroom.verify.workers import Workers
        workers = Workers("math", limit_s=60.0, count=1)
        workers.run({"reference": "2", "answer": "2"})
        print(workers._idle[0].process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    parent = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False)
    pid = int(parent.stdout)
    for _ in range(600):
        try:
            os.kill(pid, 0)
            state = (
                Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if Path("/proc").exists() else ""
            )
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":  # dead, and nobody in this container collects it
            return
        time.sleep(0.1)
    raise AssertionError("the worker outlived its parent")


def question(kind: Any, answer: str | None, **rest: Any) -> Question:
    return Question(
        id="q", messages=(Message(role="user", content="?"),), kind=kind, answer=answer, source="test", **rest
    )


def test_verify_chooses_by_kind() -> None:
    entry = entry_of("leg_counting")
    cases = [
        (question("number", "18"), "18", "right"),
        (question("exact", "Paris"), "paris", "right"),
        (question("choice", "B"), "(B)", "right"),
        (question("math", "1/2"), "$0.5$", "right"),
        (question("task", None, meta={"task": "leg_counting", "entry": entry}), entry["answer"], "right"),
        (question("number", "18"), "  ", "wrong"),
        (question("number", None), "18", "unverifiable"),
        (question("none", "18"), "18", "unverifiable"),
        (question("code", "18"), "18", "unverifiable"),
    ]
    judgements = verify_many([(asked, answer) for asked, answer, _ in cases])
    assert [judgement.verdict for judgement in judgements] == [verdict for _, _, verdict in cases]


def test_math_is_judged_in_any_thread() -> None:
    verdicts: list[str] = []
    thread = threading.Thread(target=lambda: verdicts.append(verify(question("math", "2"), "$2$").verdict))
    thread.start()
    thread.join()
    assert verdicts == ["right"]
