"""Standard input, output and error as a command may find them: closed, or unable to hold every character."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def open_standard_streams() -> None:
    """Before anything else is opened. A stream that was closed (`>&-`) leads nowhere from now on: its number would else
    be given to the next file, and what is printed would be written into that. A character that a stream cannot hold is
    shown as `?`.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process
    sys.stdout = _able(sys.stdout or open(1, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    sys.stderr = _able(sys.stderr or open(2, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _able(stream: TextIO) -> TextIO:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream
