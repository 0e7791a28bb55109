"""A contender as a process, and what it uses: seconds, processor time and memory, seen from outside.

All contenders are measured alike, however many processes they start, and none has to be trusted: the server's own count
of requests says when the first one came and when the last one was answered; /proc says what the process and its
descendants used in between. (Linux only.)
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from benchmarks.ask_contenders.environments import Environment

ROOT = Path(__file__).parents[2]
POLL_S = 0.02
MEMORY_EVERY_S = 1.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class CountingServer(Protocol):
    @property
    def base_url(self) -> str: ...

    def requests(self) -> int:
        """Received so far."""
        ...


@dataclass(frozen=True)
class Figures:
    """Of one order. `asking` is from the first request to the last answer; `whole` from the call to its return."""

    questions: int
    requests: int
    """That the server was sent. Above `questions` where a contender asks for something else, too."""
    asking_s: float
    whole_s: float
    asking_cpu_s: float
    whole_cpu_s: float
    memory_mb: float
    """The most that the process and its descendants held; pages that they share count once."""


class Contender:
    def __init__(self, process: subprocess.Popen[str], log: IO[bytes], folder: Path) -> None:
        self._process, self._log, self._folder = process, log, folder
        self._orders = self._count = 0
        self.version = str(self._hear()["version"])

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, base_url: str, first: int, count: int, concurrency: int) -> None:
        """Tell it what to ask. When this returns it is ready, and waits for `go`."""
        folder = self._folder / str(self._orders)
        folder.mkdir()
        self._orders += 1
        self._say(base_url=base_url, concurrency=concurrency, folder=str(folder), first=first, count=count)
        self._hear()
        self._count = count

    def go(self) -> None:
        self._say()

    def is_done(self, within_s: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], within_s)[0])

    def end(self) -> None:
        """Raises SystemExit where not every question brought a good reply."""
        replies = self._hear()["replies"]
        if replies != self._count:
            raise SystemExit(f"{replies} good replies to {self._count} questions.\n{self._words()}")

    def _say(self, **facts: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(facts) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} ended with {self._process.wait()}.\n{self._words()}")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _words(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]


def measure(process: Contender, server: CountingServer, first: int, count: int, concurrency: int) -> Figures:
    process.begin(server.base_url, first, count, concurrency)
    watch = _Watch(server, process.pid, count)
    process.go()
    while not process.is_done(POLL_S):
        watch.look()
    figures = watch.finish()
    process.end()
    if figures.requests < count:
        raise SystemExit(f"{count} questions were answered, and only {figures.requests} requests came.")
    return figures


@contextmanager
def contender(module: str, environment: Environment) -> Iterator[Contender]:
    """`python -m benchmarks.ask_contenders.MODULE`."""
    command = [str(environment.python), "-m", f"benchmarks.ask_contenders.{module}"]
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
            env=os.environ | environment.variables,
        ) as process,
    ):  # fmt: skip
        try:
            yield Contender(process, log, Path(folder))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


class _Moment(NamedTuple):
    at: float
    requests: int
    cpu_s: float


class _Watch:
    """From its making on."""

    def __init__(self, server: CountingServer, pid: int, questions: int) -> None:
        self._server, self._pid, self._questions = server, pid, questions
        self._begun = self._first = self._now()
        self._last: _Moment | None = None
        self._memory_mb = 0.0
        self._memory_at = time.perf_counter()

    def look(self) -> None:
        requests = self._server.requests() - self._begun.requests
        if requests == 0:
            self._first = self._now()
        elif requests >= self._questions and self._last is None:
            self._last = self._now()
        if time.perf_counter() >= self._memory_at + MEMORY_EVERY_S:
            self._see_memory()

    def finish(self) -> Figures:
        end = self._now()
        last = self._last or end
        self._see_memory()
        return Figures(
            self._questions,
            end.requests - self._begun.requests,
            last.at - self._first.at,
            end.at - self._begun.at,
            last.cpu_s - self._first.cpu_s,
            end.cpu_s - self._begun.cpu_s,
            self._memory_mb,
        )

    def _now(self) -> _Moment:
        return _Moment(time.perf_counter(), self._server.requests(), cpu_s(self._pid))

    def _see_memory(self) -> None:
        self._memory_at = time.perf_counter()
        self._memory_mb = max(self._memory_mb, memory_mb(self._pid))


def cpu_s(pid: int) -> float:
    """Of a process and its descendants, those that have ended included."""
    ticks = 0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile, and its time is its parent's now
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_PER_S


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and its descendants."""
    kib = 0
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib * 1024 / 1e6


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found, unseen = [], [pid]
    while unseen:
        each = unseen.pop()
        found.append(each)
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                unseen += map(int, children.read_text().split())
            except OSError:
                continue
    return found
