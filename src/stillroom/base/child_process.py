"""A module in a process of its own: told what to do in one JSON argument, it says in a line of JSON that it is ready.

It ends when its standard input does: a pipe whose other end only we hold, so that it ends with us, however we do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from stillroom.base.errors import ServeError

SECONDS_TO_STOP = 30


@dataclass(frozen=True, slots=True)
class Child:
    process: subprocess.Popen[bytes]
    ready: dict[str, Any]
    """What it said when it was ready."""

    def end(self) -> dict[str, Any] | None:
        """Let it end, and hear what it says last; None where it was killed before, or has nothing to say."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        line = self.process.stdout.readline()
        return json.loads(line) if line else None


@contextmanager
def child_process(module: str, order: object, name: str) -> Iterator[Child]:
    """`python -m MODULE ORDER` for as long as the block lasts. The block begins when it is ready.

    Raises ServeError, in the process's own words (`what`, `remedy`) or with its last ones, where it cannot begin, and
    calls it `name` then.
    """
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl+C in the terminal is ours to handle: the process goes on until we let go of it.
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None
        try:
            yield Child(process, _first_report(process, log, name))
        finally:
            process.stdin.close()
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()


def _first_report(process: subprocess.Popen[bytes], log: IO[bytes], name: str) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        code = process.wait()
        log.seek(0)
        last_words = log.read().decode(errors="replace").strip().splitlines()[-1:]
        raise ServeError(f"{name} ended with exit code {code} before it was ready: {''.join(last_words)}")
    report: dict[str, Any] = json.loads(line)
    if "what" in report:
        raise ServeError(report["what"], report["remedy"])
    return report


def end_with_parent() -> None:
    """In a process that was started so: end as soon as whoever started it is gone. The first thing that it does, since
    loading takes seconds."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()


def report_stream() -> IO[str]:
    """What was standard output, for reports alone: whatever a library prints goes to standard error from now on."""
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return reports


def _end_with_standard_input() -> None:
    # The pipe gives its end when the last process that holds the other side is gone, killed or not.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)
