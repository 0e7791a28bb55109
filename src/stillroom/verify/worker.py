"""The process in which answers meet code that is not ours: `python -m stillroom.verify.worker JOB DESCRIPTOR LIMIT_S`.

math-verify's own time limit is a signal, which fails in threads and cannot break into C code; some of reasoning-gym's
scorers `eval` the answer they are given. So both run here: one answer at a time, with an alarm whose default action
ends the process whatever it is doing, a limit on memory, and a guard that refuses files, processes and sockets. The
guard keeps an answer from doing harm by chance or by simple malice; it is no jail.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, BinaryIO

Job = Callable[[dict[str, Any]], dict[str, Any]]

MEMORY_BYTES = 2 * 2**30
GRACE_S = 5.0
"""The alarm comes this much after the limit: the parent, which waits for the limit, is to be first."""

_READING = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.add_dll_directory"}
_REFUSED = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "ftplib.", "http.", "urllib.", "webbrowser.")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def math_job() -> Job:
    """{reference, answer, question} -> {verdict, reason, extracted}."""
    from stillroom.verify.mathematics import judge_mathematics

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        judgement = judge_mathematics(request["reference"], request["answer"], request["question"])
        return {"verdict": judgement.verdict, "reason": judgement.reason, "extracted": judgement.extracted}

    return judge


def task_job() -> Job:
    """{task, entry, answer} -> {score}, or {no_such_task}: the score that reasoning-gym's own scorer gives."""
    import reasoning_gym  # type: ignore[import-untyped]
    from reasoning_gym.factory import DATASETS  # type: ignore[import-untyped]

    scorer = lru_cache(maxsize=64)(reasoning_gym.get_score_answer_fn)

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        if request["task"] not in DATASETS:
            return {"no_such_task": True}
        return {"score": float(scorer(request["task"])(request["answer"], request["entry"]))}

    return judge


def json_job() -> Job:
    """{schema, instance} -> {verdict, reason}: a JSON text against a JSON Schema, given as text too."""
    from stillroom.verify import json_schema

    json_schema.load()

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        return json_schema.judge_instance(request["schema"], request["instance"])

    return judge


# A worker loads the one library that its job needs: hence the imports inside the functions above.
JOBS: dict[str, Callable[[], Job]] = {"math": math_job, "task": task_job, "json": json_job}


def install_guard() -> None:
    """From here on this process opens no file for writing, starts no process and opens no socket."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            raise PermissionError("an answer tried to write a file")
        if event.startswith(_REFUSED) and event not in _READING:
            raise PermissionError(f"an answer tried {event}")

    sys.addaudithook(refuse)


def main() -> None:
    job_name, descriptor, limit_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ValueError, OSError):  # macOS has no limit on the address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    reader, writer = os.fdopen(descriptor, "rb"), os.fdopen(os.dup(descriptor), "wb")
    job = JOBS[job_name]()
    install_guard()
    say(writer, b"ready")
    for line in reader:  # until the parent has gone
        for request in json.loads(line):
            signal.setitimer(signal.ITIMER_REAL, limit_s + GRACE_S)
            response = _answered(job, request)
            signal.setitimer(signal.ITIMER_REAL, 0)
            say(writer, json.dumps(response).encode())


def say(writer: BinaryIO, line: bytes) -> None:
    writer.write(line + b"\n")
    writer.flush()


def _answered(job: Job, request: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        return {**job(request), "seconds": time.perf_counter() - started}
    except Exception as error:  # noqa: BLE001 - foreign code over foreign text: whatever it raises is its outcome
        return {"raised": f"{type(error).__name__}: {error}"[:200], "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    main()
