"""Where the code of answers is run: processes that see no files of yours, no network, and no other process.

A server is started in the sandbox (`stillroom.verify.inside`), and used again for one answer after the other: each gets
fresh processes, forked from it. What keeps it in is up to three things, whichever this machine has: bubblewrap (Linux
namespaces), Landlock and a seccomp filter. What they keep in is not believed but tried out: see `sandbox_protection`.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from stillroom.base.errors import StillroomError

LIMIT_S = 10.0
MEMORY_BYTES = 2**30
START_LIMIT_S = 60.0
MOST_REPLY_BYTES = 16 * 2**20

_INSIDE = Path(__file__).parent / "inside"
# The package is loaded by its folder alone: stillroom itself, and what it needs, is not there.
_START = (
    "import sys, types; inside = types.ModuleType('inside'); inside.__path__ = [sys.argv.pop(1)];"
    "sys.modules['inside'] = inside; from inside.server import main; main()"
)
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/dev/zero", "/dev/urandom")
_NOT_PROTECTED = (
    "Nothing protects against a fault of the kernel, or an answer that uses up the time and the memory it is given."
)
_PROBE = """
import json, os, socket, sys
home, port, process = json.loads(input())
def can(attempt):
    try:
        attempt()
    except OSError:
        return False
    return True
def start():
    if os.fork() == 0:
        os._exit(0)
print(json.dumps({
    "read your files": can(lambda: open(home + "/canary").read()),
    "write files": can(lambda: open(home + "/written", "w").close()) or can(lambda: os.mkdir("/tmp/stillroom-probe")),
    "reach the network": can(lambda: socket.create_connection(("127.0.0.1", port), 1).close()),
    "start processes": can(start),
    "signal other processes": can(lambda: os.kill(process, 0)),
}))
"""


class SandboxError(StillroomError):
    """The sandbox cannot be started."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What keeps the code of answers in on this machine, and what does not."""

    means: tuple[str, ...]
    """Of bubblewrap, the dropping of capabilities, Landlock and seccomp, those that hold."""
    can: tuple[str, ...]
    """What code in the sandbox was able to do that it should not."""
    sentence: str

    @property
    def is_enough(self) -> bool:
        """Whether code of answers may be run at all."""
        return bool(self.means) and not {"read your files", "write files", "reach the network"} & {*self.can}

    def as_json(self) -> dict[str, Any]:
        """What the figures of a stage say of it."""
        return {"means": list(self.means), "sentence": self.sentence}


class Conversation:
    """With the process of one answer: objects of JSON, one on each line, in both directions."""

    def __init__(self, commands: int, replies: int, limit_s: float) -> None:
        self._commands, self._replies = commands, replies
        self._until = time.monotonic() + limit_s
        self._received = bytearray()
        self._nonce = secrets.token_hex(16)
        os.set_blocking(commands, False)

    def send(self, message: dict[str, Any]) -> None:
        """Raises TimeoutError, EOFError."""
        data = json.dumps({"nonce": self._nonce, **message}).encode() + b"\n"
        while data:
            self._wait_for(self._commands, select.POLLOUT)
            try:
                data = data[os.write(self._commands, data) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise EOFError from error

    def receive(self) -> dict[str, Any]:
        """Raises TimeoutError, and EOFError where the process has ended, or what came is not from the tests."""
        while b"\n" not in self._received:
            self._wait_for(self._replies, select.POLLIN)
            piece = os.read(self._replies, 2**20)
            self._received += piece
            if not piece or len(self._received) > MOST_REPLY_BYTES:
                raise EOFError
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if message.pop("nonce", None) != self._nonce:
            raise EOFError
        return message

    def close(self) -> None:
        os.close(self._commands)
        os.close(self._replies)

    def _wait_for(self, descriptor: int, event: int) -> None:
        poll = select.poll()  # select() knows only the first 1,024 descriptors
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, self._until - time.monotonic()) * 1000):
            raise TimeoutError


class Sandbox:
    """Up to `count` answers are run at once, from as many threads, each within `limit_s` seconds.

    `limit_s`: by the clock, and of processor time for each process. `memory_bytes`: of each of an answer's processes.
    `bubblewrap`: whether it is used; None: where it is there and works.
    """

    def __init__(
        self,
        limit_s: float = LIMIT_S,
        memory_bytes: int = MEMORY_BYTES,
        count: int | None = None,
        *,
        bubblewrap: bool | None = None,
    ) -> None:
        self.limit_s, self.memory_bytes = limit_s, memory_bytes
        self.count = count or max(1, min(8, os.cpu_count() or 1))
        self._bubblewrap = bubblewrap
        self._places = threading.BoundedSemaphore(self.count)
        self._idle: list[_Server] = []
        self._protection: Protection | None = None
        self._starting = threading.Lock()
        atexit.register(self.close)

    @contextmanager
    def conversation(self, kind: Literal["tests", "program"]) -> Iterator[Conversation]:
        """With a fresh process. Where the block raises, all processes are killed that the answer may have left.

        Raises SandboxError when the sandbox cannot be started.
        """
        with self._places:
            server = self._take()
            talk = None
            try:
                talk = server.talk(kind, self.limit_s)
                yield talk
                talk.close()
                self._idle.append(server)
            except BaseException:
                if talk is not None:
                    talk.close()
                server.kill()
                raise

    def protection(self) -> Protection:
        """What keeps code in, tried out once. Raises SandboxError."""
        with self._starting:
            if self._protection is None:
                self._protection = self._tried()
            return self._protection

    def close(self) -> None:
        while self._idle:
            self._idle.pop().kill()

    def _take(self) -> _Server:
        try:
            return self._idle.pop()
        except IndexError:
            return self._start()

    def _start(self) -> _Server:
        cpu_s = math.ceil(self.limit_s)
        if self._bubblewrap is not None:
            return _Server(cpu_s, self.memory_bytes, bubblewrap=self._bubblewrap)
        if shutil.which("bwrap") is not None:
            with suppress(SandboxError):  # it may be there, and not allowed to do what it does
                return _Server(cpu_s, self.memory_bytes, bubblewrap=True)
        return _Server(cpu_s, self.memory_bytes, bubblewrap=False)

    def _tried(self) -> Protection:
        if sys.platform != "linux":
            return Protection((), (), "Code of answers is not run: the sandbox for it needs Linux.")
        with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
            Path(folder, "canary").write_text("seen", encoding="utf-8")
            server = self._take()
            try:
                talk = server.talk("program", START_LIMIT_S)
                talk.send({"code": _PROBE})
                talk.send({"input": json.dumps([folder, listening.getsockname()[1], os.getpid()])})
                reply = talk.receive()
                talk.close()
                did = json.loads(reply["output"])
            except (TimeoutError, EOFError, ValueError, TypeError) as error:
                server.kill()
                raise SandboxError("The sandbox for the code of answers does not answer.") from error
        self._idle.append(server)
        can = tuple(name for name, succeeded in did.items() if succeeded)
        return Protection(server.means, can, self._in_words(server.means, can))

    def _in_words(self, means: tuple[str, ...], can: tuple[str, ...]) -> str:
        by = " and ".join(filter(None, [", ".join(means[:-1]), *means[-1:]])) or "nothing but limits of time and memory"
        limits = f"{self.limit_s:g} seconds and {self.memory_bytes / 2**30:g} GiB for each process of an answer"
        kept = f"Code of answers is run apart, kept in by {by}, within {limits}."
        gaps = (
            f"It can {', '.join(can)}: it is not run here. " if can and not Protection(means, can, "").is_enough else ""
        )
        return f"{kept} {gaps}{_NOT_PROTECTED}"


@cache
def shared() -> Sandbox:
    """The one sandbox of this process."""
    return Sandbox()


def sandbox_protection() -> Protection:
    """What keeps the code of answers in on this machine, and what does not. Raises SandboxError."""
    return shared().protection()


class _Server:
    """The first process in the sandbox, from which the processes of answers are forked."""

    def __init__(self, cpu_s: int, memory_bytes: int, *, bubblewrap: bool) -> None:
        self._control, theirs = socket.socketpair()
        python = os.path.realpath(sys.executable)
        readable = [str(_INSIDE), *_libraries(), *_SYSTEM_LIBRARIES, *_SYSTEM_FILES]
        settings = {"readable": readable, "usable": ["/dev/null"], "cpu_s": cpu_s, "memory_bytes": memory_bytes}
        command = [python, "-I", "-S", "-B", "-X", "utf8", "-c", _START, str(_INSIDE), str(theirs.fileno())]
        command.append(json.dumps(settings))
        if bubblewrap:
            command = [*_bubblewrap([python, *readable]), *command]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env={"LANG": "C.UTF-8"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"The sandbox for the code of answers cannot be started: {error}.") from error
        finally:
            theirs.close()
        self._control.settimeout(START_LIMIT_S)
        try:
            held = json.loads(self._control.recv(4096))
        except (OSError, ValueError) as error:
            self.kill()
            raise SandboxError("The sandbox for the code of answers does not start.") from error
        self.means = (*(["bubblewrap"] if bubblewrap else []), *(name for name, is_held in held.items() if is_held))

    def talk(self, kind: Literal["tests", "program"], limit_s: float) -> Conversation:
        """With a new process for one answer."""
        commands, to_write = os.pipe()
        to_read, replies = os.pipe()
        talk = Conversation(to_write, to_read, limit_s)
        with suppress(OSError):  # a server that has died ends the conversation, too
            socket.send_fds(self._control, [kind[:1].encode()], [commands, replies])
        os.close(commands)
        os.close(replies)
        return talk

    def kill(self) -> None:
        """All processes in the sandbox: none of them can leave the group that it was started as."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._control.close()


def _libraries() -> list[str]:
    """The folders of Python's standard library, and of what it is linked with."""
    paths = sysconfig.get_paths()
    base = Path(sys.base_prefix)
    return list(dict.fromkeys([paths["stdlib"], paths["platstdlib"], str(base / "lib"), str(base / "lib64")]))


def _bubblewrap(paths: list[str]) -> list[str]:
    """Namespaces of its own, and a read-only file system with nothing but `paths`."""
    command = ["bwrap", "--unshare-all", "--cap-drop", "ALL", "--hostname", "sandbox"]
    for path in paths:
        device = path.startswith("/dev/")
        command += ["--dev-bind-try" if device else "--ro-bind-try", path, path]
    return [*command, "--dev-bind-try", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/", "--"]
