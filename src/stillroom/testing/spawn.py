"""The teacher in a process of its own, which shares no interpreter with the client, and outlives one that is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillroom.base.child_process import child_process
from stillroom.testing.script import Script


@dataclass
class SpawnedTeacher:
    base_url: str
    process: subprocess.Popen[bytes]
    """May be killed, as any server may be."""
    summary: dict[str, Any] | None = field(default=None)
    """`MisbehavingTeacher.summary`, once the block has ended; None where the process was killed before."""


@contextmanager
def spawned_teacher(
    script: Script | None = None, *, port: int = 0, ledger: Path | None = None
) -> Iterator[SpawnedTeacher]:
    """Serve as the script says, in another process, for as long as the block lasts.

    The process also ends when this one does, however that ends. Its books are in `ledger`, from the moment that a call
    is received. Raises ServeError, with its own words, if it can't start.
    """
    order = {
        "script": (script or Script()).model_dump(mode="json"),
        "port": port,
        "ledger": None if ledger is None else str(ledger.absolute()),
    }
    with child_process("stillroom.testing", order, "The teacher") as child:
        spawned = SpawnedTeacher(str(child.ready["base_url"]), child.process)
        yield spawned
        spawned.summary = child.end()
