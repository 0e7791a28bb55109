"""What the log of a killed worker says of its last moments: what its calls used, which nobody else was told."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from stillroom.base.records import Call
from stillroom.serve.meter.chain import read_chain, sealed_numbers
from stillroom.serve.meter.rows import call_of
from stillroom.serve.meter.segment_file import Settled, open_segments, read_segment, segment_number, unsettled


class LastCall(NamedTuple):
    call: Call
    settled_at: int | None
    """UTC in microseconds; None: it was never settled."""


def last_calls(folder: Path, since_us: int) -> list[LastCall] | None:
    """The calls of a worker's folder that were settled since then, and those that were never settled.

    To be asked before the worker's next process opens its CallLog, which settles and seals them. None where a segment
    was sealed since then: how long before is not written down. Raises StoreError.
    """
    if not folder.is_dir():
        return []
    lines = read_chain(folder)
    if any(line.record["kind"] == "segment" and line.record["at"] >= since_us for line in lines):
        return None
    sealed = sealed_numbers(lines)
    paths = [path for path in open_segments(folder) if segment_number(path) not in sealed]
    found = [LastCall(call_of(row), None) for row in unsettled(paths).values()]
    for path in paths:
        for line in read_segment(path):
            if isinstance(line, Settled) and line.at >= since_us:
                found.append(LastCall(call_of(line.row), line.at))
    return found
