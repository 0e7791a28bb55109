"""The process that stays: it listens, starts the workers and the admin process, and starts again what dies."""

from __future__ import annotations

import json
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from stillroom.base.errors import ServeError, UsageError
from stillroom.serve.database.address import database_url
from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade
from stillroom.serve.gateway.model_process import kept_serving
from stillroom.serve.listening import listen
from stillroom.serve.settings import GatewaySettings
from stillroom.store.secrets import Secrets

_START_S = 60
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _STEADY_S = 0.2, 10.0, 30.0
_STOP_MARGIN_S = 60
"""Beyond the calls in flight: a full segment of the log is sealed. Cut short, it is sealed at the next start."""


@dataclass(frozen=True, slots=True)
class Addresses:
    api: str
    """Ends in `/v1`."""
    admin: str


def run_gateway(
    settings: GatewaySettings,
    on_ready: Callable[[Addresses], None] | None = None,
    *,
    threads: int | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let calls in flight end.

    `threads` are those of the models served from folders. `on_ready` is called once every process is ready; the
    addresses are printed where it is None. Raises ServeError where a port is taken or a process can't begin, StoreError
    where the state folder or the database can't be used.
    """
    if not settings.models:
        raise UsageError("The gateway has no model.", "Add one under models:, or name a folder with --model DIR.")
    if settings.listen.port and settings.listen == settings.admin:
        what = f"listen and admin are both {settings.listen.host} port {settings.listen.port}."
        raise UsageError(what, "Give one of them another port.")
    Secrets.open(settings.state)
    engine = open_database(database_url(settings))
    upgrade(engine)
    engine.dispose()
    with ExitStack() as stack:
        sockets = _api_sockets(settings, stack)
        admin_socket = stack.enter_context(listen(settings.admin.host, settings.admin.port))
        addresses = Addresses(_url(settings.listen.host, sockets[0]) + "/v1", _url(settings.admin.host, admin_socket))
        folders = {model.name: model.folder for model in settings.models if model.folder is not None}
        watermarks = {model.name: model.watermark for model in settings.models if model.watermark is not None}
        local = stack.enter_context(kept_serving(folders, threads=threads, watermarks=watermarks)) if folders else None
        (settings.state / "metrics").mkdir(mode=0o700, exist_ok=True)
        common = {
            "settings": settings.model_dump(mode="json"),
            "local_url": local and local.url,
            "tokenizers": {**local.tokenizers} if local else {},
        }
        children = [
            _Child("stillroom.serve.gateway.worker", {**common, "worker": f"w{number}"}, listener)
            for number, listener in enumerate(sockets)
        ]
        children.append(_Child("stillroom.serve.gateway.admin", common, admin_socket))
        _Supervision(children, settings.bounds.drain_s).run(lambda: _say(addresses, settings, on_ready))


def _say(addresses: Addresses, settings: GatewaySettings, on_ready: Callable[[Addresses], None] | None) -> None:
    if on_ready is not None:
        on_ready(addresses)
        return
    names = ", ".join(model.name for model in settings.models)
    print(f"Serving {names} at {addresses.api}; administration at {addresses.admin}", flush=True)


def _api_sockets(settings: GatewaySettings, stack: ExitStack) -> list[socket.socket]:
    """One for each worker, all on one port: the kernel shares connections out among them.

    A dead worker's socket stays open here, so that who connects meanwhile waits for the next one and is not refused.
    """
    host, port = settings.listen.host, settings.listen.port
    sockets: list[socket.socket] = []
    for _ in range(settings.workers):
        sockets.append(stack.enter_context(listen(host, port, shared=settings.workers > 1)))
        port = sockets[0].getsockname()[1]
    return sockets


def _url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


@dataclass(slots=True)
class _Child:
    """A module in a process of its own, which is given its order on standard input and says when it is ready."""

    module: str
    order: Mapping[str, Any]
    listener: socket.socket
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    starts_at: float = 0.0
    is_ready: bool = False

    @property
    def name(self) -> str:
        return str(self.order.get("worker", "admin"))

    def start(self) -> None:
        number = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[number],
            # Ctrl+C in the terminal is ours to handle.
            start_new_session=True,
        )
        self.began, self.is_ready = time.monotonic(), False
        assert self.process.stdin is not None
        # On a pipe, not as an argument: the address of the database may hold a password, and arguments are public.
        with suppress(BrokenPipeError):  # it has ended already, which is seen soon
            self.process.stdin.write(json.dumps({**self.order, "socket": number}).encode() + b"\n")
            self.process.stdin.flush()

    def hear(self) -> None:
        """Wait for what it says first. Raises ServeError, in its own words, where it can't begin."""
        words = self._first_words()
        if words is None:
            assert self.process is not None
            raise ServeError(f"The process {self.name} ended with code {self.process.wait()} before it was ready.")
        if "what" in words:
            raise ServeError(words["what"], words["remedy"])
        self.is_ready = True

    def died(self, now: float) -> None:
        """Say so, in its own words where it could not begin, and plan the next start: ever later if it keeps dying."""
        assert self.process is not None
        why = f"ended with code {self.process.returncode}."
        words = None if self.is_ready else self._first_words()
        if words is not None and "what" in words:
            why = " ".join(["can't begin.", words["what"], words["remedy"]]).rstrip()
        print(f"The process {self.name} {why} It is started again.", file=sys.stderr, flush=True)
        if now - self.began > _STEADY_S:
            self.pause_s = _FIRST_PAUSE_S
        self.starts_at = now + self.pause_s
        self.pause_s = min(self.pause_s * 2, _LONGEST_PAUSE_S)
        self.let_go()

    def let_go(self) -> None:
        """Of a process that has ended."""
        assert self.process is not None
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self.process = None

    def _first_words(self) -> dict[str, Any] | None:
        """None: it ended without a word."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None


class _Supervision:
    def __init__(self, children: Sequence[_Child], drain_s: float) -> None:
        self._children = children
        self._drain_s = drain_s

    def run(self, on_ready: Callable[[], None]) -> None:
        with _signals() as told:
            try:
                for child in self._children:
                    child.start()
                for child in self._children:
                    self._hear_in_time(child)
                on_ready()
                while not _is_told(told, 0.1):
                    self._look_after_them()
            finally:
                self._stop()

    def _hear_in_time(self, child: _Child) -> None:
        assert child.process is not None
        with selectors.DefaultSelector() as selector:
            assert child.process.stdout is not None
            selector.register(child.process.stdout, selectors.EVENT_READ)
            if not selector.select(_START_S):
                raise ServeError(f"The process {child.name} was not ready after {_START_S} seconds.")
        child.hear()

    def _look_after_them(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                child.died(now)
            elif child.process is None and child.starts_at <= now:
                child.start()

    def _stop(self) -> None:
        alive = [(child, child.process) for child in self._children if child.process is not None]
        for _, process in alive:
            process.terminate()
        ends = time.monotonic() + self._drain_s + _STOP_MARGIN_S
        for child, process in alive:
            try:
                process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            child.let_go()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that has something to read once SIGINT or SIGTERM came."""
    told, tell = socket.socketpair()
    told.setblocking(False)
    tell.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    old = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
    try:
        yield told
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()
        tell.close()


def _is_told(told: socket.socket, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(told, selectors.EVENT_READ)
        return any(set(told.recv(64)) & {signal.SIGINT, signal.SIGTERM} for _ in selector.select(seconds))
