"""The lines of a text file, however long one is, whatever bytes it holds, and wherever it ends."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from stillroom.base.errors import DataError
from stillroom.watch.importing.record import Unreadable

LONGEST_LINE = 16 * 2**20
"""Characters."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def lines(path: Path, encoding: str) -> Iterator[tuple[int, str] | Unreadable]:
    """Each line with its number, without its end; blank ones are left out. `.gz` is unpacked.

    Bytes that are nothing in the encoding become half characters (as Python's `surrogateescape` has it): an agent that
    sends such bytes would else make its own rows unreadable. A line of more than LONGEST_LINE is not held, and the end
    of a damaged file is told as such. Raises DataError for a file that is not text; OSError.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(_UTF_16):
        raise DataError(f"{path} is UTF-16.", f"Convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf-8.txt")
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        raw = stack.enter_context(gzip.GzipFile(fileobj=file)) if path.suffix == ".gz" else file
        text = io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="\n")
        number = 0
        while True:
            number += 1
            try:
                line = text.readline(LONGEST_LINE)
                is_too_long = len(line) == LONGEST_LINE and not line.endswith("\n")
                while is_too_long and line and not line.endswith("\n"):
                    line = text.readline(LONGEST_LINE)
            except (EOFError, gzip.BadGzipFile, zlib.error):
                yield Unreadable(number, "the file is damaged or cut off from here on")
                return
            if is_too_long:
                yield Unreadable(number, f"the line is longer than {LONGEST_LINE // 2**20} million characters")
            elif not line:
                return
            else:
                stripped = line.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else line.rstrip("\r\n")
                if stripped.strip():
                    yield number, stripped
