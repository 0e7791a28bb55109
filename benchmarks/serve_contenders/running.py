"""A gateway as a process of its own, for as long as it is needed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

START_S = 180
"""LiteLLM needs the better part of a minute where the machine is busy."""


@dataclass(frozen=True)
class Running:
    base_url: str
    """Ends in /v1."""
    key: str
    pid: int | None
    """Of the process and, by it, of all its descendants; None: not ours to measure."""
    version: str


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process_of(
    command: Sequence[str], folder: Path, url: str, variables: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a command in a folder until the block ends; begins once something answers at the address. Gives its pid.

    Raises SystemExit, with the process's last words, where it ends first or takes too long.
    """
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | (variables or {})
        ) as process,
    ):
        try:
            ends = time.monotonic() + START_S
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > ends:
                    log.seek(0)
                    words = log.read().decode(errors="replace")[-4000:]
                    raise SystemExit(f"{' '.join(command)} does not answer at {url}.\n{words}")
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def post(url: str, content: Any, key: str | None = None) -> bytes:
    """The body of the reply. Raises urllib's HTTPError where the status is not 2xx."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with urlopen(Request(url, body, headers), timeout=60) as response:
        replied: bytes = response.read()
        return replied


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=5).close()
    except (URLError, OSError):
        return False
    return True
