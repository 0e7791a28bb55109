"""One process at a time: a lock that the system gives back when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillroom.base.errors import StoreError


class FolderLock:
    """Holds `path` until `release`. The file stays where it is: to delete a lock file would let two holders in.

    Raises StoreError, with the holder's process id, where another process (or this one) holds it.
    """

    def __init__(self, path: Path, what: str) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"{path} could not be opened: {error.strerror}.", "Mend the folder's rights.") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreError(
                f"{what} is in use by process {holder}.", "Wait until that process ends, or stop it, then run again."
            ) from error
        try:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise StoreError(f"{path} could not be written: {error.strerror}.", "Free space on its disk.") from error

    def release(self) -> None:
        os.close(self._descriptor)


@contextmanager
def alone_in(folder: Path, name: str) -> Iterator[None]:
    """Holds the lock file `name` of `folder`, which is made if it is not there; who comes later waits.

    Raises StoreError where the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be used: {error.strerror}.", "Run it as who may write there, or name another folder."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
