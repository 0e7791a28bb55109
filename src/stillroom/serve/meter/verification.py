"""Whether the log is what was sealed: each altered, missing or foreign row is named, and each gap in a chain.

What is not found: records cut off the end of a chain together with their segments, and a worker's folder that is gone
as a whole, unless a time stamp says that they were there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.x509 import Certificate

from stillroom.base.canonical import canonical_bytes
from stillroom.base.errors import StoreError
from stillroom.base.signatures import PublicKeys, SignatureRefused, open_token
from stillroom.serve.meter.chain import RECORD_TYPE, ChainLine, read_chain, sealed_numbers
from stillroom.serve.meter.covered import covered_rows
from stillroom.serve.meter.segment_file import open_segments, read_segment, sealed_folder, segment_number
from stillroom.serve.meter.segment_rows import check_segment
from stillroom.serve.meter.time_stamps import check_stamps
from stillroom.store.calls import SealedSegment, sealed_segments, worker_folders
from stillroom.store.lock import alone_in

ProblemKind = Literal[
    "row altered",
    "row missing",
    "row foreign",
    "row not forgotten",
    "commitments altered",
    "segment missing",
    "segment unreadable",
    "segment foreign",
    "chain broken",
    "signature wrong",
    "time stamp wrong",
]


@dataclass(frozen=True, slots=True)
class Problem:
    kind: ProblemKind
    worker: str
    what: str
    """One sentence."""
    segment: int | None = None
    row: int | None = None
    call_id: str | None = None


@dataclass(slots=True)
class LogReport:
    problems: list[Problem] = field(default_factory=list)
    workers: int = 0
    segments: int = 0
    rows: int = 0
    """That are there and are what was sealed."""
    forgotten: int = 0
    """Rows that were deleted on request."""
    records: int = 0
    signed: int = 0
    """Records whose signature was checked and is right."""
    stamped: int = 0
    """Time stamps that fit a record."""
    damaged_lines: int = 0
    """Lines that could not be read when their segment was sealed, or cannot be in an open one: each may have been a
    settlement, or a piece of a line that a full disk cut off."""
    open_segments: int = 0
    """Not sealed yet, and so not verified."""


def verify_log(
    calls: Path, keys: PublicKeys | None = None, stamp_roots: Sequence[Certificate] | None = None
) -> LogReport:
    """Check the logs of all workers. `calls`: the folder of all of them.

    `keys`: the gateway's, active and retired; None: signatures are not looked at. `stamp_roots`: the certificates that
    time stamps are traced back to; None: of a time stamp only what it is over is looked at. Raises StoreError where
    there is no such folder.
    """
    report = LogReport()
    for folder in worker_folders(calls):
        report.workers += 1
        try:
            with _undisturbed(folder):
                _check_worker(folder, keys, stamp_roots, report)
        except StoreError as error:  # the chain itself: nothing can be said of what it was to speak of
            report.problems.append(Problem("chain broken", folder.name, error.what))
    return report


def _undisturbed(folder: Path) -> AbstractContextManager[None]:
    """While nobody is being forgotten, if anybody ever was. Nothing is written into a copy that is only looked at."""
    lock = folder / "forgetting.lock"
    return alone_in(folder, lock.name) if lock.exists() and os.access(lock, os.W_OK) else nullcontext()


def _check_worker(
    folder: Path, keys: PublicKeys | None, stamp_roots: Sequence[Certificate] | None, report: LogReport
) -> None:
    # In this order: what is sealed meanwhile has a record by then, or had an open file.
    there = {segment.number for segment in sealed_segments(folder)}
    there -= {segment_number(path) for path in open_segments(folder)}
    lines = read_chain(folder)
    report.records += len(lines)
    _check_chain(folder, lines, report)
    if keys is not None:
        _check_signatures(folder, lines, keys, report)
    _check_segments(folder, lines, there, report)
    stamped, wrong = check_stamps(folder, lines, stamp_roots)
    report.stamped += stamped
    report.problems += [Problem("time stamp wrong", folder.name, what) for what in wrong]
    for path in open_segments(folder):
        report.open_segments += 1
        report.damaged_lines += sum(line is None for line in read_segment(path))


def _check_chain(folder: Path, lines: list[ChainLine], report: LogReport) -> None:
    previous: str | None = None
    for place, line in enumerate(lines):
        record = line.record
        if record.get("index") != place or record.get("previous") != previous:
            what = (
                f"Record {place} of {folder.name} does not follow the one before it: one is missing, moved or altered."
            )
            report.problems.append(Problem("chain broken", folder.name, what))
        if record.get("worker") != folder.name:
            what = f"Record {place} of {folder.name} is of another worker ({record.get('worker')})."
            report.problems.append(Problem("chain broken", folder.name, what))
        previous = line.digest


def _check_signatures(folder: Path, lines: list[ChainLine], keys: PublicKeys, report: LogReport) -> None:
    for place, line in enumerate(lines):
        wrong = _wrong_signature(line, keys)
        if wrong is None:
            report.signed += 1
        else:
            what = f"Record {place} of {folder.name}: {wrong}"
            report.problems.append(Problem("signature wrong", folder.name, what, line.record.get("segment")))


def _wrong_signature(line: ChainLine, keys: PublicKeys) -> str | None:
    if not isinstance(line.jws, str):
        return "It is not signed."
    try:
        claims, key = open_token(line.jws, RECORD_TYPE, keys)
        key.check_time(line.record["at"] // 1_000_000, int(time.time()))
    except SignatureRefused as refused:
        return refused.what
    is_same = canonical_bytes(claims) == canonical_bytes(line.record)
    return None if is_same else "What was signed is something else."


def _check_segments(folder: Path, lines: list[ChainLine], there: set[int], report: LogReport) -> None:
    worker = folder.name
    covered = covered_rows(lines)
    expected = 1
    for line in lines:
        if line.record["kind"] != "segment":
            continue
        number = line.record["segment"]
        for missing in range(expected, number):
            what = f"Segment {missing} of {worker} has no record."
            report.problems.append(Problem("segment missing", worker, what, missing))
        if number < expected:
            what = f"Segment {number} of {worker} has a second record."
            report.problems.append(Problem("chain broken", worker, what, number))
        expected = max(expected, number + 1)
        segment = SealedSegment(worker, number, sealed_folder(folder, number))
        report.damaged_lines += line.record["damaged_lines"]
        if not segment.folder.is_dir():
            what = f"Segment {number} of {worker}, with {line.record['rows']} rows, is gone."
            report.problems.append(Problem("segment missing", worker, what, number))
        else:
            found = check_segment(segment, line.record, covered.get(number, set()))
            report.segments += 1
            report.rows += found.rows
            report.forgotten += found.forgotten
            report.problems += [Problem(kind, worker, what, number, row, call) for kind, what, row, call in found.wrong]
    for number in sorted(there - sealed_numbers(lines)):
        what = f"Segment {number} of {worker} has no record: it was not sealed by this gateway, or its record is gone."
        report.problems.append(Problem("segment foreign", worker, what, number))
