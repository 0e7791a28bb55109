"""What each stage of a run was made of (`stages.json`), so that a stage whose inputs are unchanged is not run again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stillroom.base.canonical import digest
from stillroom.store.files import read_object, write_json

STAGES = "stages.json"
CARD = "README.md"
"""Of a model's folder: it tells of the model, and is no part of it."""


def is_finished(folder: Path, stage: str, inputs: Mapping[str, str | None], outputs: Sequence[Path]) -> bool:
    """Whether `stage` once finished with exactly these inputs, and what it made is still there."""
    return _read(folder).get(stage) == dict(inputs) and all(output.exists() for output in outputs)


def run_stage(
    folder: Path, stage: str, inputs: Mapping[str, str | None], work: Callable[[], bool], *, forget_first: bool = True
) -> None:
    """Do the work of a stage, and write down its inputs if it says that it is finished.

    While it works, nothing is written down: a stage that is interrupted, or leaves something undone, runs again. One
    that leaves what an earlier run of it made until it has something better says `forget_first=False`, and calls
    `forget_stage` itself before it replaces that.
    """
    if forget_first:
        forget_stage(folder, stage)
    if work():
        write_json(folder / STAGES, {**_read(folder), stage: dict(inputs)})


def forget_stage(folder: Path, stage: str) -> None:
    known = _read(folder)
    if known.pop(stage, None) is not None:
        write_json(folder / STAGES, known)


def file_digest(path: Path) -> str | None:
    """Digest of a file, or of a folder's files by name; None where there is none. Raises OSError as reading does."""
    if path.is_dir():
        return _folder_digest(path, [file for file in path.rglob("*") if file.is_file()])
    if not path.exists():
        return None
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def model_digest(path: Path) -> str | None:
    """Digest of a model: of its file, or of all files in its folder but its card; None where there is none.

    What is written about a model, when it has been examined, does not make it another model.
    """
    if not path.is_dir():
        return file_digest(path)
    return _folder_digest(path, [file for file in path.rglob("*") if file.is_file() and file != path / CARD])


def _folder_digest(folder: Path, files: Sequence[Path]) -> str:
    return digest({file.relative_to(folder).as_posix(): file_digest(file) for file in sorted(files)})


def _read(folder: Path) -> dict[str, Any]:
    path = folder / STAGES
    return read_object(path) if path.exists() else {}
