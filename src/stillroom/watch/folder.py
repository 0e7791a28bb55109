"""The folder in which watch keeps what it knows: one process at a time looks, and what a kill left is removed."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from stillroom.base.errors import StoreError
from stillroom.store.lock import FolderLock

_SCRATCH = ".engine-"
_JUST_MADE_S = 60


@contextmanager
def held(watch: Path) -> Iterator[None]:
    """For looks, calibrations and whoever takes out an account. Raises StoreError, naming the process that holds it."""
    _make(watch)
    lock = FolderLock(watch / "lock", f"The watch folder {watch}")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def scratch_folder(watch: Path) -> Iterator[Path]:
    """A new folder for temporary files, which may be large; those of killed processes go. Raises StoreError."""
    _make(watch)
    for left in watch.glob(f"{_SCRATCH}*"):
        _remove_unused(left)
    try:
        folder = Path(mkdtemp(dir=watch, prefix=_SCRATCH))
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{watch} cannot be written: {error.strerror}.", "Mend the disk or its rights.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_unused(folder: Path) -> None:
    """Its process holds a lock on it as long as it lives, but for the moment after it has made it."""
    try:
        if time.time() - folder.stat().st_mtime < _JUST_MADE_S:
            return
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # gone, or somebody else's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _make(watch: Path) -> None:
    try:
        watch.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{watch} cannot be made: {error.strerror}.", "Mend the folder's rights.") from error
