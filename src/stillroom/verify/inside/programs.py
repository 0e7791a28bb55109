"""Running an answer as a program: what it writes when it is given an input."""

from __future__ import annotations

import os
import select
import sys
import traceback
import types
from typing import Any, NoReturn

MOST_OUTPUT_BYTES = 2**20
_LAST_WORDS_BYTES = 2000


def run_as_program(code: str) -> NoReturn:
    """Be the program: standard input and output are those of this process, which ends with it."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["answer.py"]
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    status = 0
    try:
        exec(compile(code, "<answer>", "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - whatever the answer's code raises is its outcome
        traceback.print_exc()
        status = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # the other end hung up, or the program put something else there
        status = status or 1
    os._exit(status & 0xFF)


def watch(given: str, stdin: int, stdout: int, stderr: int) -> dict[str, Any]:
    """Give a program its input and take what it writes, through these ends of pipes, which are closed.

    Returns {output, last_words}; `output` None: more than may be, and the rest was not waited for.
    """
    waiting = given.encode("utf-8", errors="replace")
    taken = {stdout: bytearray(), stderr: bytearray()}
    os.set_blocking(stdin, False)
    open_ends = {stdin, stdout, stderr}
    while open_ends - {stdin}:
        writing = [stdin] if stdin in open_ends else []
        readable, writable, _ = select.select([*(open_ends - {stdin})], writing, [])
        for end in writable:
            waiting = _write_some(end, waiting)
            if not waiting:
                os.close(end)
                open_ends.discard(end)
        for end in readable:
            piece = os.read(end, 2**16)
            taken[end] += piece
            if end == stderr:
                del taken[end][:-_LAST_WORDS_BYTES]
            if not piece:
                os.close(end)
                open_ends.discard(end)
        if len(taken[stdout]) > MOST_OUTPUT_BYTES:
            break
    for end in open_ends:
        os.close(end)
    is_all = len(taken[stdout]) <= MOST_OUTPUT_BYTES
    return {
        "output": taken[stdout].decode("utf-8", errors="replace") if is_all else None,
        "last_words": taken[stderr].decode("utf-8", errors="replace"),
    }


def _write_some(end: int, data: bytes) -> bytes:
    """What is left to be written; nothing, too, where nobody reads any more."""
    try:
        return data[os.write(end, data) :] if data else b""
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return b""
