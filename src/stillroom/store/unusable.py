"""What is wrong with a file of SQLite's, and what whoever runs the command can do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from stillroom.base.errors import StoreError

_OPEN_ELSEWHERE = ("SQLITE_BUSY", "SQLITE_LOCKED")
_OF_THE_DISK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY")


def unusable(path: Path, error: sqlite3.Error) -> StoreError:
    """What is in it may have been paid for: to move it away is for files that are damaged, and not for full disks."""
    name = getattr(error, "sqlite_errorname", "")  # an error of Python's own module has none
    if name.startswith(_OPEN_ELSEWHERE):
        remedy = "Close the program that has it open."
    elif name.startswith(_OF_THE_DISK):
        remedy = "Free space, or mend the folder's rights, then run it again."
    else:
        remedy = "Move it away to begin anew."
    return StoreError(f"{path} cannot be used: {error}.", remedy)
