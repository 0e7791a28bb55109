"""Time stamps of the log of plans by an authority outside (RFC 3161), see `stillroom.store.time_stamps`.

A stamp is over the canonical bytes of a record; each record names the one before it, so that it stands for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stillroom.probe.pack import STAMPS
from stillroom.probe.plan_log import FILE, LogLine, log_locked, read_log
from stillroom.store.files import write_atomically

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from stillroom.store.time_stamps import CheckedStamps


def stamp_log(probe: Path, url: str, roots: Sequence[Certificate] | None = None) -> datetime | None:
    """`stamp_last`, while nobody else writes to the log."""
    with log_locked(probe):
        return stamp_last(probe, url, roots)


def stamp_last(probe: Path, url: str, roots: Sequence[Certificate] | None = None) -> datetime | None:
    """Have the last record stamped; when, or None where it had a stamp already, or there is no record.

    With `roots`, the stamp has to trace back to one of them. For who holds the log's lock. Raises as
    `time_stamps.ask_stamp` does.
    """
    from stillroom.store.time_stamps import ask_stamp, stamp_name

    log = read_log(probe / FILE)
    if not log:
        return None
    record = log[-1].record
    path = probe / STAMPS / stamp_name(record.index, record.digest)
    if path.exists():
        return None
    stamp = ask_stamp(url, record.to_bytes(), roots)
    write_atomically(path, stamp.response)
    return stamp.at


def stamp_files(probe: Path, log: Sequence[LogLine]) -> list[Path]:
    """Of the stamps of these records."""
    paths = (probe / STAMPS / name for name in stamped_bytes(log))
    return [path for path in paths if path.exists()]


def check_log_stamps(folder: Path, log: Sequence[LogLine], roots: Sequence[Certificate] | None) -> CheckedStamps:
    """Which of the stamps in a folder fit their records, and what is wrong with the others."""
    from stillroom.store.time_stamps import check_stamps

    return check_stamps(folder, stamped_bytes(log), "the log of plans", roots)


def times_of(folder: Path, log: Sequence[LogLine]) -> dict[int, datetime]:
    """When records were stamped, by their index: of the stamps that fit, whoever made them."""
    checked = check_log_stamps(folder, log, None)
    return {index: checked.fitting[name] for index, name in enumerate(stamped_bytes(log)) if name in checked.fitting}


def stamped_bytes(log: Sequence[LogLine]) -> dict[str, bytes]:
    """By the name of the file of its stamp, in the log's order: what each record's stamp is over."""
    from stillroom.store.time_stamps import stamp_name

    return {stamp_name(line.record.index, line.record.digest): line.record.to_bytes() for line in log}
