"""The first process in the sandbox: it gives up what answers must not have, and forks a process for each answer.

It is told of an answer by a message on its control socket, with two descriptors: a pipe to read from and one to write
to, a JSON object on each line. The process that it forks reads the first line only after it has forked the answer's.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import socket
import sys
import time
from typing import Any, NoReturn

from . import walls
from .answer_side import AnswerSide
from .link import Ended, Link, Malformed
from .programs import run_as_program, watch
from .running import Outcome, judge

TESTS, PROGRAM = b"t", b"p"
_STARTING_S = 60
_ENDING_S = 2.0
"""How long a process that has hung up may take to end."""


def main() -> None:
    """Arguments: the number of the control socket, and the settings as JSON."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    held = {
        "dropped capabilities": walls.drop_capabilities(),
        "Landlock": walls.close_files(settings["readable"], settings["usable"]),
        "seccomp": walls.refuse_system_calls(forking=True),
    }
    control.sendall(json.dumps(held).encode())
    while True:
        kind, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if not kind:
            return  # who started it has gone
        if os.fork() == 0:
            control.close()
            _Job(settings, has_filter=held["seccomp"]).do(kind, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        os.wait()


class _Job:
    """One answer, in a process of its own."""

    def __init__(self, settings: dict[str, Any], *, has_filter: bool) -> None:
        self._cpu_s, self._memory_bytes = settings["cpu_s"], settings["memory_bytes"]
        self._has_filter = has_filter

    def do(self, kind: bytes, commands: int, results: int) -> NoReturn:
        walls.end_with_parent()
        walls.limit(self._cpu_s, self._memory_bytes)
        # Whoever waits for it kills it before; where nobody waits any more, this ends it, and the answer's with it.
        signal.alarm(2 * self._cpu_s + _STARTING_S)
        with open(commands, encoding="utf-8") as lines, open(results, "w", encoding="utf-8") as replies:
            if kind == TESTS:
                self._do_tests(lines, replies)
            else:
                self._do_program(lines, replies)
        os._exit(0)

    def _do_tests(self, lines: Any, replies: Any) -> None:
        ours, theirs = os.pipe(), os.pipe()
        answer = os.fork()
        if answer == 0:
            self._become_answer(ours[0], theirs[1])
        os.close(ours[0])
        os.close(theirs[1])
        if self._has_filter:
            walls.refuse_system_calls(forking=False)
        job = json.loads(lines.readline())
        link = Link(theirs[0], ours[1])
        try:
            outcome = judge(link, job["before"], job["code"], job["tests"], job["entry_point"])
        except Malformed:
            outcome = Outcome("unsure", "the process of the answer sends what no answer sends")
        except Ended:
            outcome = self._ending(answer) or Outcome("wrong", "the code ends its own process")
        _reply(replies, {"nonce": job["nonce"], **outcome._asdict()})

    def _become_answer(self, reading: int, writing: int) -> NoReturn:
        self._keep_only({3: reading, 4: writing})
        try:
            AnswerSide(Link(3, 4)).serve()
        except Ended:
            os._exit(0)

    def _do_program(self, lines: Any, replies: Any) -> None:
        job = json.loads(lines.readline())
        for line in lines:
            pipes = [os.pipe() for _ in range(3)]
            (stdin, to_write), (to_read, stdout), (to_read_errors, stderr) = pipes
            answer = os.fork()
            if answer == 0:
                self._keep_only({0: stdin, 1: stdout, 2: stderr})
                run_as_program(job["code"])
            for end in (stdin, stdout, stderr):
                os.close(end)
            found = watch(json.loads(line)["input"], to_write, to_read, to_read_errors)
            fault = self._ending(answer)
            _reply(replies, {"nonce": job["nonce"], **found, "fault": fault})

    def _keep_only(self, places: dict[int, int]) -> None:
        """Become a process that has these descriptors, each moved to its place, and no way back."""
        walls.end_with_parent()
        vars(builtins).update(exit=sys.exit, quit=sys.exit)  # a module makes them that is not loaded here
        moved = {place: os.dup2(descriptor, 40 + place) for place, descriptor in places.items()}
        nothing = os.open(os.devnull, os.O_RDWR)
        for place in range(3):
            os.dup2(nothing, place)
        os.closerange(3, 40)
        for place, descriptor in moved.items():
            os.dup2(descriptor, place)
        os.closerange(40, 256)
        walls.limit(self._cpu_s, self._memory_bytes)
        if self._has_filter:
            walls.refuse_system_calls(forking=False)
        else:
            walls.refuse_processes()

    def _ending(self, answer: int) -> Outcome | None:
        """What is to be said of how the answer's process ended; None where it ended by itself, without an error."""
        until = time.monotonic() + _ENDING_S
        while True:
            process, status = os.waitpid(answer, os.WNOHANG)
            if process:
                break
            if time.monotonic() > until:
                return Outcome("unsure", "the process of the answer no longer replies")
            time.sleep(0.002)
        if not os.WIFSIGNALED(status):
            code = os.WEXITSTATUS(status)
            return Outcome("wrong", f"the code ends its own process with status {code}") if code else None
        if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
            return Outcome("unsure", f"the code used more than {self._cpu_s} seconds of processor time, or was killed")
        return Outcome("unsure", f"the process of the answer was ended by {signal.Signals(os.WTERMSIG(status)).name}")


def _reply(replies: Any, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
