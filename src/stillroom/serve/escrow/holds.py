"""Legal holds, and the record of who did what: while a hold lasts, nothing that it covers expires or is deleted."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.errors import StoreError, UsageError
from stillroom.store.files import read_object, write_json

_FOLDER = "holds"
_ACTIONS = "actions.jsonl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Hold:
    """Kept when it is released, too: it says from when to when, and by whom."""

    name: str
    account: str | None
    """None: every account."""
    reason: str
    by: str
    at: int
    """UTC microseconds."""
    released_by: str | None = None
    released_at: int | None = None

    def covers(self, account: str) -> bool:
        return self.released_at is None and self.account in (None, account)


def read_holds(folder: Path) -> list[Hold]:
    """All, released ones too, by age. Raises StoreError for one that can't be read: it may be in force."""
    holds = []
    for path in (folder / _FOLDER).glob("*.json"):
        try:
            holds.append(Hold(**read_object(path)))
        except TypeError as error:
            raise StoreError(f"{path} is no hold.", "Put it back from a backup.") from error
    return sorted(holds, key=lambda hold: (hold.at, hold.name))


def add_hold(folder: Path, hold: Hold) -> None:
    """Raises UsageError for a name that was used before, or is no name."""
    if not _NAME.fullmatch(hold.name):
        raise UsageError(
            f"{hold.name!r} cannot be a hold's name.", "Take letters, digits, dots and dashes, 64 at most."
        )
    if not hold.reason.strip() or not hold.by.strip():
        raise UsageError("A hold needs a reason, and somebody who asks for it.", "Give both.")
    path = _path(folder, hold.name)
    if path.exists():
        raise UsageError(f"There is a hold called {hold.name} already, or there was.", "Take another name.")
    write_json(path, asdict(hold))


def end_hold(folder: Path, name: str, by: str, at: int) -> Hold:
    """Raises UsageError where no such hold is in force."""
    hold = next((hold for hold in read_holds(folder) if hold.name == name and hold.released_at is None), None)
    if hold is None:
        raise UsageError(f"No hold called {name} is in force.", "stillroom escrow list names those that are.")
    released = replace(hold, released_by=by, released_at=at)
    write_json(_path(folder, name), asdict(released))
    return released


def holding(holds: Iterable[Hold], account: str) -> list[str]:
    """The names of the holds that cover an account's records now."""
    return [hold.name for hold in holds if hold.covers(account)]


def note_action(folder: Path, action: dict[str, Any]) -> None:
    """Who did what to the records, and when; on the disk when this returns. Raises OSError where it is not, whole.

    Of a line that a full disk cut short, others have to be told apart: it is ended where the next one begins.
    """
    path = folder / _ACTIONS
    line = orjson.dumps(action) + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _path(folder: Path, name: str) -> Path:
    return folder / _FOLDER / f"{name}.json"
