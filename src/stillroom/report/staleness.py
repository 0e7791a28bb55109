"""Whether what a stage has left is older than what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stillroom.store.files import read_object
from stillroom.store.stages import STAGES, file_digest

_LEFT = {"ask": "ask.json", "check": "check.json", "exam": "exam.json"}
"""The file that each stage writes last."""


def is_stale(folder: Path, stage: str) -> bool:
    """Whether a table that `stage` read has changed since; False where it has not finished.

    `stage` is a name as stages.json has it: `check`, `train sft`. Only tables that are newer than the stage's own file
    are read. Raises StoreError for a damaged stages.json.
    """
    path = folder / STAGES
    inputs: Any = read_object(path).get(stage) if path.exists() else None
    kind, _, method = stage.partition(" ")
    left = folder / _LEFT.get(kind, f"{kind}/{method}/{kind}.json")
    if not isinstance(inputs, dict) or not left.exists():
        return False
    finished_at = left.stat().st_mtime_ns
    tables = {folder / name: known for name, known in inputs.items() if name.endswith(".parquet")}
    return any(
        table.exists() and table.stat().st_mtime_ns > finished_at and file_digest(table) != known
        for table, known in tables.items()
    )
