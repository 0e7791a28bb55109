"""The server in a process of its own, for as long as it is needed and no longer."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stillroom.base.errors import ServeError

SECONDS_TO_STOP = 10


@contextmanager
def serving(models: Mapping[str, Path], *, threads: int | None = None, max_batch: int = 64) -> Iterator[str]:
    """Serve the model folders on a free port of this machine; gives the base URL once they are loaded.

    The process ends with the block. It also ends when this process does, however that ends: it watches a pipe whose
    other end only we hold. Raises ServeError, with the server's own words, if it can't start.
    """
    order = {
        "models": {name: str(path.absolute()) for name, path in models.items()},
        "threads": threads,
        "max_batch": max_batch,
    }
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [sys.executable, "-m", "stillroom.serve", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl+C in the terminal is ours to handle: the server goes on answering until we let go of it.
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None
        try:
            yield _base_url(process, log)
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
        raise ServeError(f"The server ended with exit code {code} before it was ready: {''.join(last_words)}")
    report = json.loads(line)
    if "url" not in report:
        raise ServeError(report["what"], report["remedy"])
    return str(report["url"])
