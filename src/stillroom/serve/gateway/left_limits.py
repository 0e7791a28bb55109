"""What a worker that was killed had used of limits and not told: counted from its call log, before the log goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from stillroom.serve.gateway.admission import amounts
from stillroom.serve.limits.bound import Counter, LimitName, permit_subject
from stillroom.serve.limits.ledger import LeftBehind
from stillroom.serve.limits.limits import Limits
from stillroom.serve.meter.segment_file import Settled, open_segments, read_segment, unsettled

_OF_A_PERMIT: tuple[LimitName, ...] = ("permit_calls", "permit_tokens")


async def recover_limits(limits: Limits, worker: str, log_folder: Path) -> None:
    """Does nothing where the process before this one gave everything back. Before the log of this one is opened.

    Raises LimitsUnavailable, StoreError.
    """
    left = await limits.left_by(worker)
    if left is not None:
        await limits.recover(worker, await asyncio.to_thread(used_since, left, log_folder))


def used_since(left: LeftBehind, log_folder: Path) -> dict[Counter, int | None] | None:
    """What calls used that was not told: for each counter its sum, or None where a call's use is not known.

    None altogether where a part of the log that may matter has been sealed already.
    """
    told_at = min([left.seen_at, *left.told_at.values()])
    segments = open_segments(log_folder)
    sealed = (path for path in log_folder.rglob("*") if path.is_file() and path not in segments)
    if any(path.stat().st_mtime_ns // 1000 >= told_at for path in sealed):
        return None
    used: dict[Counter, int | None] = {}
    for path in segments:
        for line in read_segment(path):
            if isinstance(line, Settled):
                for counter, amount in _use(line.row):
                    if line.at >= left.since(*counter):
                        used[counter] = (used.get(counter) or 0) + amount
    for row in unsettled(segments).values():
        used.update((counter, None) for counter, _ in _use(row))
    return used


def _use(row: Mapping[str, Any]) -> Iterator[tuple[Counter, int]]:
    """Each counter that a call was counted in, by its row in the log, and how much of it."""
    cost = None if row["cost_usd"] is None else Decimal(row["cost_usd"])
    used = amounts(row["prompt_tokens"] or 0, row["completion_tokens"] or 0, cost)
    for name, amount in used.items():
        if name not in _OF_A_PERMIT:
            yield (row["account"], name), 0 if name == "concurrent" else amount
        elif row["permit_id"] is not None:
            yield (permit_subject(row["permit_id"]), name), amount
