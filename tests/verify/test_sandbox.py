"""The sandbox: what code in it cannot do, whatever keeps it in; and what it cannot make the tests say.

Every attack is run with each means that this machine has: Landlock and seccomp alone, and with bubblewrap where that is
installed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stillroom.base.records import Message, Question
from stillroom.verify.code_answer import verify_code
from stillroom.verify.judgement import Judgement
from stillroom.verify.sandbox import Protection, Sandbox, sandbox_protection

MEANS = [False, True] if shutil.which("bwrap") else [False]


@pytest.fixture(scope="module", params=MEANS, ids=lambda bubblewrap: "bubblewrap" if bubblewrap else "alone")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    sandbox = Sandbox(limit_s=60.0, memory_bytes=2**28, count=2, bubblewrap=request.param)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def hurried() -> Iterator[Sandbox]:
    """For answers that would go on for ever."""
    sandbox = Sandbox(limit_s=1.0, memory_bytes=2**28, count=1)
    yield sandbox
    sandbox.close()


def judged(sandbox: Sandbox, code: str, tests: str = "assert add(2, 3) == 5", **meta: object) -> Judgement:
    question = Question(
        id="q",
        messages=(Message(role="user", content="Write add."),),
        kind="code",
        source="test",
        meta={"tests": tests, **meta},
    )
    return verify_code(question, f"```python\n{textwrap.dedent(code)}\n```", sandbox)


def printed(sandbox: Sandbox, code: str, given: str = "") -> str:
    """What a program writes in the sandbox."""
    with sandbox.conversation("program") as talk:
        talk.send({"code": textwrap.dedent(code)})
        talk.send({"input": given})
        reply = talk.receive()
    assert reply["fault"] is None, reply
    return str(reply["output"])


UNITTEST = """
import unittest
class AddTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)
"""
TRY = """
    import sys
    def attempt(function):
        try:
            return f"did it: {function()!r}"
        except (OSError, ValueError) as error:
            return f"refused: {type(error).__name__}"
"""


def attempted(
    sandbox: Sandbox, expression: str, imports: str = "os, socket, subprocess, signal, pathlib, shutil"
) -> str:
    code = f"{textwrap.dedent(TRY)}\nimport {imports}\nprint(attempt(lambda: {expression}))"
    return printed(sandbox, code).strip()


def test_this_machine_has_a_sandbox() -> None:
    protection = sandbox_protection()
    assert protection.is_enough
    assert protection.can == ()
    assert {"Landlock", "seccomp", "dropped capabilities"} <= {*protection.means}
    assert "Landlock" in protection.sentence
    assert "fault of the kernel" in protection.sentence


def test_means_are_named(sandbox: Sandbox) -> None:
    assert ("bubblewrap" in sandbox.protection().means) == bool(sandbox._bubblewrap)


def test_what_is_not_kept_in_is_not_run(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    leaky = Protection(("seccomp",), ("read your files",), "It can read your files: it is not run here.")
    monkeypatch.setattr(sandbox, "_protection", leaky)
    judgement = judged(sandbox, "def add(a, b): return a + b")
    assert (judgement.verdict, judgement.reason) == ("unverifiable", leaky.sentence)
    assert not Protection((), (), "").is_enough
    assert not Protection(("seccomp",), ("reach the network",), "").is_enough


def test_files_cannot_be_read(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    here = Path(__file__).resolve()
    for path in (
        secret,
        here,
        Path.home() / ".bashrc",
        Path("/etc/passwd"),
        Path("/proc/self/environ"),
        Path("/proc/1/maps"),
    ):
        assert attempted(sandbox, f"open({str(path)!r}).read()").startswith("refused"), path
    for folder in (Path.home(), tmp_path, Path("/proc"), Path("/tmp")):
        assert attempted(sandbox, f"os.listdir({str(folder)!r})").startswith("refused"), folder


def test_files_cannot_be_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    before = kept.stat()
    for expression in (
        f"open({str(kept)!r}, 'w').write('x')",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"os.unlink({str(kept)!r})",
        f"shutil.rmtree({str(tmp_path)!r})",
        f"os.rename({str(kept)!r}, {str(tmp_path / 'moved')!r})",
        f"os.mkdir({str(tmp_path / 'folder')!r})",
        f"os.symlink('/etc', {str(tmp_path / 'link')!r})",
        f"os.truncate({str(kept)!r}, 0)",
        f"os.chmod({str(kept)!r}, 0)",
        f"os.utime({str(kept)!r}, (0, 0))",
        f"os.setxattr({str(kept)!r}, 'user.x', b'y')",
        f"os.mkfifo({str(tmp_path / 'fifo')!r})",
        "open('/tmp/stillroom-was-here', 'w')",
        "os.mkdir('/stillroom-was-here')",
        "open('/dev/shm/stillroom-was-here', 'w')",
    ):
        assert attempted(sandbox, expression).startswith("refused"), expression
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "as it was"
    assert kept.stat().st_mode == before.st_mode
    assert kept.stat().st_mtime == before.st_mtime


def test_the_network_cannot_be_reached(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        server.settimeout(0.2)
        local.bind(str(tmp_path / "socket"))
        local.listen()
        local.settimeout(0.2)
        for expression in (
            f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 1)",
            f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'socket')!r})",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
            "socket.socket().bind(('127.0.0.1', 0))",
            "socket.socketpair()",
        ):
            assert attempted(sandbox, expression).startswith("refused"), expression
        for listening in (server, local):
            with pytest.raises(TimeoutError):
                listening.accept()


def test_processes_cannot_be_started_or_touched(sandbox: Sandbox) -> None:
    for expression in (
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        f"os.kill({os.getpid()}, 0)",
        "os.kill(-1, 0)",
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.killpg(0, 0)",
        "os.setsid()",
        "os.setpgid(0, 0)",
        "os.nice(-5)",
        "os.pidfd_open(os.getpid())",
        "os.memfd_create('x')",
    ):
        assert attempted(sandbox, expression).startswith("refused"), expression
    assert printed(sandbox, "import os\nprint(os.system('true'))").strip() != "0"


def test_system_calls_by_number_are_refused(sandbox: Sandbox) -> None:
    """No way round Python's own functions: by the C library, and by the calls that the filter cannot look into."""
    code = """
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        def call(*arguments):
            result = libc.syscall(*arguments)
            return errno.errorcode[ctypes.get_errno()] if result == -1 else "did it"
        import platform
        numbers = {"x86_64": (41, 101, 272, 56, 57), "aarch64": (198, 117, 97, 220, 220)}[platform.machine()]
        socket, ptrace, unshare, clone, fork = numbers
        print(call(socket, 2, 1, 0), call(ptrace, 0, 0, 0, 0), call(unshare, 0x10000000), call(clone, 17, 0, 0, 0, 0),
              call(fork, 17, 0, 0, 0, 0), call(435, 0, 0), call(425, 1, 0), libc.prctl(1, 0, 0, 0, 0))
    """
    assert printed(sandbox, code).split() == ["EPERM"] * 5 + ["ENOSYS", "EPERM", "-1"]


def test_limits_cannot_be_raised(sandbox: Sandbox) -> None:
    code = """
        import resource
        for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE"):
            soft, hard = resource.getrlimit(getattr(resource, name))
            try:
                resource.setrlimit(getattr(resource, name), (hard, hard + 1))
                print(name, "raised")
            except (ValueError, OSError):
                pass
    """
    assert printed(sandbox, code) == ""


def test_nothing_of_the_environment_is_there(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "hush")
    with Sandbox(bubblewrap=sandbox._bubblewrap, count=1).conversation("program") as talk:
        talk.send({"code": "import os, sys\nprint(dict(os.environ), sys.path, os.getcwd())"})
        talk.send({"input": ""})
        output = talk.receive()["output"]
    assert "hush" not in output
    assert "SOME_API_KEY" not in output
    assert str(Path(__file__).parent.parent) not in output


def test_threads_work(sandbox: Sandbox) -> None:
    code = """
        from concurrent.futures import ThreadPoolExecutor
        print(sum(ThreadPoolExecutor(4).map(lambda n: n * n, range(5))))
    """
    assert printed(sandbox, code) == "30\n"


ATTACKS = {
    name: code
    for name, _, code in (
        part.partition("\n")
        for part in (Path(__file__).parent.parent / "data" / "code_attacks.txt").read_text().split("# --- ")[1:]
    )
}
SWALLOWED = [
    "ends at once",
    "exits in the call",
    "equals everything",
    "a mock that equals everything",
    "sends nonsense",
]


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_the_tests_are_never_right(hurried: Sandbox, name: str) -> None:
    judgement = judged(hurried, ATTACKS[name])
    assert judgement.verdict in ("wrong", "unsure"), judgement


@pytest.mark.parametrize("name", SWALLOWED)
def test_nor_are_they_where_a_library_catches_everything(hurried: Sandbox, name: str) -> None:
    judgement = judged(hurried, ATTACKS[name], UNITTEST)
    assert judgement.verdict in ("wrong", "unsure"), judgement


@pytest.mark.parametrize("tests", ["assert add(2, 3) == 5", UNITTEST])
def test_the_same_tests_let_the_right_code_pass(sandbox: Sandbox, tests: str) -> None:
    assert judged(sandbox, "def add(a, b): return a + b", tests).verdict == "right"


BOMBS = {
    "an endless loop": ("def add(a, b):\n    while True: pass", "seconds"),
    "an endless loop outside of functions": ("while True: pass", "seconds"),
    "sleep": ("import time\ntime.sleep(1e6)", "running it took more than 1 seconds"),
    "a loop that swallows everything": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\ndef add(a, b):\n    while True:\n        try:\n"
        "            while True: pass\n        except BaseException: pass",
        "seconds",
    ),
    "memory": ("def add(a, b): return len([bytearray(2**20) for _ in range(10**6)])", "memory"),
    "memory at once": ("x = bytearray(2**40)", "memory"),
    "memory by threads": (
        "import threading, time\nfor _ in range(10**5): threading.Thread(target=time.sleep, args=(1e6,)).start()",
        "can't start new thread",
    ),
    "a fork bomb": ("import os\nwhile True: os.fork()", "refuses"),
    "a fork bomb that goes on": (
        "import os\ndef add(a, b):\n    while True:\n        try: os.fork()\n        except OSError: pass",
        "seconds",
    ),
    "a huge number": ("def add(a, b): return 9**9**9", "seconds"),
    "a huge result": ("def add(a, b): return 'x' * 10**8", ""),
    "endless output": ("def add(a, b):\n    while True: print('x' * 10**6)", "seconds"),
    "endless output of errors": ("import sys\nwhile True: sys.stderr.write('x' * 10**6)", "seconds"),
    "an endless generator": ("def add(a, b):\n    while True: yield 5", ""),
    "a library": ("import numpy\ndef add(a, b): return a + b", "No module named 'numpy'"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_one_verdict(hurried: Sandbox, name: str) -> None:
    code, reason = BOMBS[name]
    judgement = judged(hurried, code)
    assert judgement.verdict == "unsure", judgement
    assert reason in judgement.reason or "seconds" in judgement.reason
    assert len(hurried._idle) <= 1


def test_a_question_that_nobody_answers(sandbox: Sandbox) -> None:
    judgement = judged(sandbox, "x = input()")
    assert judgement.verdict == "wrong", judgement
    assert "EOF" in judgement.reason


def test_a_program_that_writes_without_end(sandbox: Sandbox) -> None:
    question = Question(
        id="q",
        messages=(Message(role="user", content="Write 5."),),
        kind="code",
        source="test",
        meta={"cases": [{"input": "", "output": "5"}]},
    )
    judgement = verify_code(question, "```python\nwhile True: print('x' * 1000)\n```", sandbox)
    assert (judgement.verdict, judgement.reason) == ("unsure", "case 1: it writes more than 1 MiB")


def processes_in(group: int) -> list[int]:
    """What runs in a process group, by the kernel's own account."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(folder.name))
    return found


def test_nothing_is_left_of_what_was_killed(sandbox: Sandbox) -> None:
    slow = Sandbox(limit_s=1.0, count=1, bubblewrap=sandbox._bubblewrap)
    assert slow.protection().is_enough
    (server,) = slow._idle
    group = server._process.pid
    assert processes_in(group)
    code = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.closerange(0, 3)\ntime.sleep(1e6)"
    )
    assert judged(slow, code).verdict == "unsure"
    until = time.monotonic() + 60
    while processes_in(group) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_in(group) == []
    slow.close()


def test_the_sandbox_ends_with_whoever_started_it() -> None:
    program = """
        import os, signal
        from stillroom.verify.sandbox import Sandbox
        sandbox = Sandbox(count=1)
        sandbox.protection()
        print(sandbox._idle[0]._process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    parent = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, check=False)
    group = int(parent.stdout)
    until = time.monotonic() + 60
    while processes_in(group) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_in(group) == []
