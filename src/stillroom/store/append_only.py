"""Files of lines that are only ever appended to, each on the disk before what it speaks of counts."""

from __future__ import annotations

import os
from pathlib import Path

from stillroom.base.errors import StoreError
from stillroom.store.files import sync


def append_line(path: Path, line: bytes) -> None:
    """Add a line, given without its end; it is on the disk when this returns. One process at a time.

    What a killed process left of a line is cut off first. Raises StoreError, and leaves the file as it was then.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            whole = os.pread(descriptor, size, 0).rfind(b"\n") + 1
            os.ftruncate(descriptor, whole)
            _write(descriptor, line + b"\n", whole)
        finally:
            os.close(descriptor)
        sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Free space on its disk.") from error


def whole_lines(path: Path) -> list[bytes]:
    """Without their ends; none where there is no file. A last line that a kill cut short does not count.

    Raises StoreError where it cannot be read.
    """
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def _write(descriptor: int, data: bytes, place: int) -> None:
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], place + written)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, place)
        raise
