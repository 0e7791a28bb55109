"""What every contender has in common: a process that trains on the rows of one job and says how that went.

It needs nothing but the standard library, since TRL runs in an environment of its own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    model: str
    """A Hugging Face folder."""
    rows: list[tuple[list[int], int]]
    """(token ids, how many of them are the prompt); the rest is trained."""
    threads: int
    row_batch: int = 8
    """Rows of one optimiser step (on average, where batches go by their tokens)."""
    warm_up: int = 1
    """Steps before time is taken."""
    in_order: bool = False
    """Batches of `row_batch` rows as they come, and settings that both trainers have: for comparing their losses."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    version: str
    seconds: float
    cpu_seconds: float
    """Of all threads, in that time."""
    trained: int
    """Tokens with a loss in that time."""
    losses: list[float]
    """Mean loss of each step."""
    memory_mb: float = 0.0
    """The most that the process held; on a GPU, the most of the GPU's memory."""


def work(contender: Callable[[Job], Outcome]) -> None:
    """Carry out the job in the file that the command line names, and write its outcome as the last line."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # frameworks print: only the outcome may reach whoever gave the job
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    outcome = asdict(contender(job))
    outcome["memory_mb"] = outcome["memory_mb"] or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(outcome), file=told, flush=True)
