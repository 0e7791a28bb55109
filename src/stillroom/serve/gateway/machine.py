"""Which machine of a gateway this is, where several share a database and each has a state folder of its own."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from stillroom.base.errors import StoreError

_FILE = "machine"


def machine_id(state: Path) -> str:
    """16 hex digits, made at random where the state folder has none. Raises StoreError.

    Not the host's name, which a container changes with each start: what a killed worker left is found under this.
    """
    path = state / _FILE
    try:
        if not path.exists():
            _create(path)
        told = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read or made: {error}.", "Mend the folder's rights.") from error
    if len(told) != 16:
        raise StoreError(f"{path} holds no machine's id.", "Delete it: a new one is made.")
    return told


def worker_place(state: Path, worker: str) -> str:
    """The name of a worker among those of all machines: no two that live have the same."""
    return f"{machine_id(state)}/{worker}"


def _create(path: Path) -> None:
    """Written aside, then linked: all workers of a machine read the same, whichever makes it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(secrets.token_hex(8), encoding="ascii")
    try:
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
