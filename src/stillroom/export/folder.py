"""The folder that an export is written to: a new one, or one that takes the place of an earlier export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stillroom.base.errors import StoreError, UsageError
from stillroom.store.files import read_object, replacing_folder, write_json
from stillroom.store.lock import FolderLock

EXPORT = "export.json"
"""In every folder that was exported: what it is, and the names of its files."""
_ELSEWHERE = "Name another folder with --out, or move what is there."


@contextmanager
def replacing_export(run: Path, out: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `out` once it is whole; `write_facts` has to end it.

    Raises UsageError where `out` holds anything that no export wrote, StoreError where it cannot be written, and while
    another process exports from the run in the folder `run`.
    """
    refuse_other_folder(out)
    lock = FolderLock(run / "export.lock", f"The export from {run}")
    try:
        with replacing_folder(out) as folder:
            yield folder
            refuse_other_folder(out)  # somebody may have put something there meanwhile
    finally:
        lock.release()


def write_facts(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write export.json, the last file of a folder: `facts`, and the bytes of every other one. Returns what it says."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    whole = {**facts, "files": dict(sorted(sizes.items()))}
    write_json(folder / EXPORT, whole)
    return whole


def refuse_other_folder(out: Path) -> None:
    """Raises UsageError unless `out` is not there, is an empty folder, or holds an earlier export and nothing else."""
    if out.name in ("", ".."):
        raise UsageError(f"{out} is no name for a folder of its own.", _ELSEWHERE)
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is there already, and is no folder.", _ELSEWHERE)
    if not out.exists() or not any(out.iterdir()):
        return
    known = _known_files(out)
    if known is None:
        raise UsageError(f"{out} is there already, and is no earlier export.", _ELSEWHERE)
    found = (path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_symlink() or not path.is_dir())
    if others := sorted(set(found) - known):
        raise UsageError(f"{out} holds {others[0]}, which no export wrote.", _ELSEWHERE)


def _known_files(out: Path) -> set[str] | None:
    """The files of the export in `out`; None where there is none."""
    try:
        facts = read_object(out / EXPORT)
    except StoreError:
        return None
    files = facts.get("files")
    return {EXPORT, *files} if "to" in facts and isinstance(files, dict) else None
