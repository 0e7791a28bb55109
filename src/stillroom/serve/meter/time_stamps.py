"""Time stamps of a chain's records by an authority outside (RFC 3161): proof that the log was there by then.

A stamp is over the canonical bytes of a record, so its message imprint is the record's digest; each record names the
one before it, so a stamp of the last one stands for them all. What the authority answered lies in `stamps/`, named
after the record's place and digest: a record that is cut off later is missed by its stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.x509 import Certificate

from stillroom.base.canonical import canonical_bytes
from stillroom.serve.meter.chain import ChainLine, read_chain
from stillroom.store import time_stamps
from stillroom.store.calls import worker_folders
from stillroom.store.files import write_atomically

_FOLDER = "stamps"


@dataclass(frozen=True, slots=True)
class Stamped:
    worker: str
    index: int
    """Of the record."""
    at: datetime
    """What the authority says."""
    file: Path


def stamp_log(calls: Path, url: str, roots: Sequence[Certificate] | None = None) -> list[Stamped]:
    """Have the last record of each worker's chain stamped. `calls`: the folder of all of them.

    With `roots`, the stamp is traced back to one of these certificates before it is kept. A record that has a stamp
    already is not stamped again. Raises UsageError for an address that is none, ServeError for an authority that does
    not answer or answers something else.
    """
    time_stamps.check_address(url)
    stamped = []
    for folder in worker_folders(calls):
        lines = read_chain(folder)
        if not lines:
            continue
        path = folder / _FOLDER / _file_name(lines[-1])
        if path.exists():
            continue
        stamp = time_stamps.ask_stamp(url, canonical_bytes(lines[-1].record), roots)
        write_atomically(path, stamp.response)
        stamped.append(Stamped(folder.name, lines[-1].record["index"], stamp.at, path))
    return stamped


def check_stamps(
    folder: Path, lines: Sequence[ChainLine], roots: Sequence[Certificate] | None
) -> tuple[int, list[str]]:
    """How many of a worker's stamps fit their records, and what is wrong with the others, a sentence each."""
    by_name = {_file_name(line): canonical_bytes(line.record) for line in lines}
    checked = time_stamps.check_stamps(folder / _FOLDER, by_name, f"the chain of {folder.name}", roots)
    return len(checked.fitting), checked.wrong


def next_stamp(folder: Path, lines: Sequence[ChainLine], index: int) -> tuple[int, bytes] | None:
    """The first stamp that a record of a worker's chain, or one after it, was given: of which, and the answer as kept.

    Whether it fits is not looked at.
    """
    for line in lines[index:]:
        path = folder / _FOLDER / _file_name(line)
        if path.is_file():
            return line.record["index"], path.read_bytes()
    return None


def _file_name(line: ChainLine) -> str:
    return time_stamps.stamp_name(line.record.get("index", 0), line.digest)
