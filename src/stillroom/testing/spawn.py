"""The teacher in a process of its own, which shares no interpreter with the client, and outlives one that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from stillroom.base.errors import ServeError
from stillroom.testing.script import Script

SECONDS_TO_STOP = 30


@dataclass
class SpawnedTeacher:
    base_url: str
    process: subprocess.Popen[bytes]
    """May be killed, as any server may be."""
    summary: dict[str, Any] | None = field(default=None)
    """`MisbehavingTeacher.summary`, once the block has ended; None where the process was killed before."""


@contextmanager
def spawned_teacher(
    script: Script | None = None, *, port: int = 0, ledger: Path | None = None
) -> Iterator[SpawnedTeacher]:
    """Serve as the script says, in another process, for as long as the block lasts.

    The process also ends when this one does, however that ends: it watches a pipe whose other end only we hold. Its
    books are in `ledger`, from the moment that a call is received. Raises ServeError, with its own words, if it can't
    start.
    """
    order = {
        "script": (script or Script()).model_dump(mode="json"),
        "port": port,
        "ledger": None if ledger is None else str(ledger.absolute()),
    }
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, "-m", "stillroom.testing", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl+C in the terminal is the client's
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            spawned = SpawnedTeacher(_base_url(process, log), process)
            yield spawned
            process.stdin.close()
            summary = process.stdout.readline()
            spawned.summary = json.loads(summary) if summary else None
        finally:
            process.stdin.close()
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()


def _base_url(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        code = process.wait()
        log.seek(0)
        last_words = log.read().decode(errors="replace").strip().splitlines()[-1:]
        raise ServeError(f"The teacher ended with exit code {code} before it was ready: {''.join(last_words)}")
    report = json.loads(line)
    if "base_url" not in report:
        raise ServeError(report["what"], report["remedy"])
    return str(report["base_url"])
