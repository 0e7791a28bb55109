"""What a process that ended left of its log: calls that were begun and never settled become rows of their own."""

from __future__ import annotations

from pathlib import Path

from stillroom.base.records import Call
from stillroom.serve.meter.chain import read_chain, sealed_numbers
from stillroom.serve.meter.rows import call_of
from stillroom.serve.meter.sealer import clear_unfinished
from stillroom.serve.meter.segment_file import (
    SegmentFile,
    Settled,
    open_segments,
    read_segment,
    segment_number,
    settled_line,
    unsettled,
)
from stillroom.store.files import sync


def recover(folder: Path) -> tuple[list[Call], int]:
    """Settle what is open as `unknown`. Returns these calls, and the number that the next segment has.

    All open segments can be sealed after it. Only the process that holds the folder may do so; one that is killed at it
    has done a part, which the next one goes on from. Raises StoreError, and LogFull where the disk takes no more.
    """
    clear_unfinished(folder)
    sealed = sealed_numbers(read_chain(folder))
    paths = [path for path in open_segments(folder) if segment_number(path) not in sealed]
    calls = [call_of(row) for row in unsettled(paths).values()]
    if paths:
        _settle_as_unknown(paths[-1], calls)
        # Without rows, as after a start that nobody asked anything: the next segment has its number.
        if not any(isinstance(line, Settled) for line in read_segment(paths[-1])):
            paths.pop().unlink()
            sync(folder)
    taken = sealed.union(map(segment_number, paths))
    return calls, max(taken, default=0) + 1


def _settle_as_unknown(path: Path, calls: list[Call]) -> None:
    segment = SegmentFile.reopen(path)
    try:
        for call in calls:
            call.status = "unknown"
            segment.append(settled_line(call))
        segment.sync()
    finally:
        segment.close()
