"""The folder in which watch keeps what it knows: one process at a time changes what it is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillroom.base.errors import StoreError
from stillroom.store.lock import FolderLock


@contextmanager
def held(watch: Path) -> Iterator[None]:
    """For looks, calibrations and whoever takes out an account. Raises StoreError, naming the process that holds it."""
    try:
        watch.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{watch} cannot be made: {error.strerror}.", "Mend the folder's rights.") from error
    lock = FolderLock(watch / "lock", f"The watch folder {watch}")
    try:
        yield
    finally:
        lock.release()
