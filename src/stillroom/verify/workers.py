"""A pool of `stillroom.verify.worker` processes: started when needed, used again, killed when a job takes too long."""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Literal

import stillroom
from stillroom.base.errors import StillroomError

JobName = Literal["math", "task", "json"]

LARGEST_BATCH, SMALLEST_BATCH = 256, 4
"""Requests that a worker is sent at once. Between two batches it waits until this process has its turn."""

START_LIMIT_S = 120.0
"""Loading the library, on a machine that is busy."""

# What a worker's environment is made of. Keys of teachers are not among it.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Workers:
    """Runs jobs of one sort, up to `count` at once from as many threads, each within `limit_s` seconds."""

    def __init__(self, job: JobName, limit_s: float = 10.0, count: int | None = None) -> None:
        self.job = job
        self.limit_s = limit_s
        self.count = count or max(1, min(8, os.cpu_count() or 1))
        self._places = threading.BoundedSemaphore(self.count)
        self._idle: list[_Worker] = []
        atexit.register(self.close)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the job answers; {"timed_out": True} when it took too long, {"died": True} when its process ended.

        Raises StillroomError when no worker can be started.
        """
        return self._run_batch([request])[0]

    def run_many(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """`run` of each, in order, by all workers at once."""
        batches = list(_batches(requests, self.count))
        if len(batches) < 2:
            return self._run_batch(requests)
        with ThreadPoolExecutor(max_workers=self.count) as threads:
            return [response for responses in threads.map(self._run_batch, batches) for response in responses]

    def _run_batch(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each answer comes by itself, so that one that takes too long, or ends the process, costs itself only."""
        responses: list[dict[str, Any]] = []
        while len(responses) < len(requests):
            with self._places:
                worker = self._take()
                sound = False
                try:
                    for response in worker.ask(requests[len(responses) :], self.limit_s):
                        responses.append(response)
                    sound = "timed_out" not in responses[-1] and "died" not in responses[-1]
                finally:
                    # Interrupted, too slow or dead: what it would say next answers nobody's question.
                    if sound:
                        self._idle.append(worker)
                    else:
                        worker.kill()
        return responses

    def close(self) -> None:
        while self._idle:
            self._idle.pop().kill()

    def _take(self) -> _Worker:
        try:
            return self._idle.pop()
        except IndexError:
            return _Worker(self.job, self.limit_s)


def _batches(requests: Sequence[dict[str, Any]], workers: int) -> Iterator[Sequence[dict[str, Any]]]:
    """Large ones first, and ever smaller ones, so that all workers come to their end at the same time."""
    start = 0
    while start < len(requests):
        size = min(LARGEST_BATCH, max(SMALLEST_BATCH, (len(requests) - start) // (2 * workers)))
        yield requests[start : start + size]
        start += size


@cache
def shared(job: JobName) -> Workers:
    """The one pool of this process for a sort of job."""
    return Workers(job)


class _Worker:
    def __init__(self, job: str, limit_s: float) -> None:
        self.socket, theirs = socket.socketpair()
        self._received = b""
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        package_folder = str(Path(stillroom.__file__).parent.parent)
        search_path = [package_folder, os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))
        environment["OMP_NUM_THREADS"] = "1"
        # A session of its own: Ctrl-C in the terminal is the parent's to handle.
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", "stillroom.verify.worker", job, str(theirs.fileno()), str(limit_s)],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        if self._receive(START_LIMIT_S) != b"ready":
            self.kill()
            raise StillroomError(
                f"The process that verifies answers of kind {job} did not start.",
                f"See what `{sys.executable} -m stillroom.verify.worker {job} 0 10` prints.",
            )

    def ask(self, requests: Sequence[dict[str, Any]], limit_s: float) -> Iterator[dict[str, Any]]:
        """The answer to each request, up to the first that takes too long or ends the process."""
        self.socket.settimeout(None)
        try:
            self.socket.sendall(json.dumps(requests).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            yield {"died": True}
            return
        for _ in requests:
            message = self._receive(limit_s)
            if not message:
                yield {"timed_out": True} if message is None else {"died": True}
                return
            yield json.loads(message)

    def _receive(self, limit_s: float) -> bytes | None:
        """One line; None after `limit_s` seconds without one; b"" where the process has ended.

        Lines that have come already are not waited for: one wake-up of this process reads them all.
        """
        self.socket.settimeout(limit_s)
        while b"\n" not in self._received:
            try:
                received = self.socket.recv(65536)
            except TimeoutError:
                return None
            except ConnectionResetError:
                return b""
            if not received:
                return b""
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        return line

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.close()
