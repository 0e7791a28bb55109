"""Files that are either whole or not there: written under another name in the same folder, synced, then renamed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from stillroom.base.errors import StoreError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to. On leaving it is synced and takes the place of `path`.

    An exception inside leaves `path` as it was. Raises StoreError where the folder cannot be written, or where
    something else than a file is at `path`: a device that gave way to a file would be gone from the machine.
    """
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is there, and no file.", "Name another file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        temporary.chmod(0o644)  # mkstemp makes private files; these are meant to be read by other tools
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new, empty folder beside `path` to fill. On leaving it is synced and takes the place of `path`, whole.

    An exception inside leaves `path` as it was. What an earlier process left half done is cleared away. Raises
    StoreError where another process is at it, or the folder cannot be written.
    """
    temporary, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    try:
        with _ours_alone(temporary, path):
            try:
                _remove(old)
                yield temporary
                for each in (*temporary.rglob("*"), temporary):
                    sync(each)
                if path.exists():
                    path.replace(old)
                temporary.replace(path)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        sync(path.parent)
        _remove(old)
    except OSError as error:
        raise _not_written(path, error) from error


@contextmanager
def _ours_alone(folder: Path, path: Path) -> Iterator[None]:
    """Makes it, empty, and keeps others from filling it too: what two have filled would be whole of neither.

    Raises StoreError, naming the `path` that it is for, where another process has it.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not _can_be_locked(descriptor):
            raise StoreError(f"{path} is being written by another process.", "Wait until that ends.")
        if not folder.exists() or not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise StoreError(f"{path} was written by another process just now.", "Look at it, then run again.")
        for each in folder.iterdir():
            _remove(each)
        yield
    finally:
        os.close(descriptor)


def _can_be_locked(descriptor: int) -> bool:
    """Locks it, unless another process has. On a file system without locks it is for people to see to it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def remove_unfinished(path: Path) -> None:
    """Clear away what processes that were killed left of writing `path`. Nobody else may be writing it now."""
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write the whole file, or leave the old one. Text is written as UTF-8. Raises StoreError."""
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON that a person can read, keys in their given order. Raises ValueError for NaN."""
    write_atomically(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises StoreError, naming the file, where it is missing or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.", "Run the stage that writes it first.") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is not JSON.", "Delete it and run its stage again.") from error


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises StoreError, naming the file, where it is missing or something else."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise StoreError(f"{path} is not a JSON object.", "Delete it and run its stage again.")
    return value


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} could not be written: {error.strerror or error}.", "Free space or mend the folder's rights."
    )
