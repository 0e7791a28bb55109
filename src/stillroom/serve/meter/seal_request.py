"""Having sealed what a worker has, from another process: what is sealed is a table that anything can read."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from stillroom.base.errors import StoreError
from stillroom.serve.meter.call_log import SEAL_REQUEST
from stillroom.serve.meter.chain import Sign
from stillroom.serve.meter.recovery import recover
from stillroom.serve.meter.sealer import seal_before
from stillroom.serve.meter.segment_file import Settled, open_segments, read_segment
from stillroom.store.lock import FolderLock

_LOOK_AGAIN_S = 0.2


def have_sealed(folder: Path, sign: Sign | None, seconds: float, *, account: str | None = None) -> int:
    """Have a worker's folder sealed, of one account or of all; how many of its calls are still running.

    A running worker is asked for it, and is given `seconds`; the folder of one that does not run is sealed here. Of an
    account, no settled row is left open; of all, none that was settled before: the calls of others go on meanwhile.
    Raises StoreError.
    """
    with _own_folder(folder) as is_ours:
        if is_ours:
            _, number = recover(folder)
            seal_before(folder, number, sign)
            return 0
    asked_for = open_segments(folder)
    ends_at = time.monotonic() + seconds
    while True:
        found = open_segments(folder)
        settled, _ = _open_rows(
            found if account is not None else [path for path in found if path in asked_for], account
        )
        if not settled:
            return _running(found, account)
        if time.monotonic() >= ends_at:
            whose = "" if account is None else f" of {account}"
            raise StoreError(
                f"{len(settled)} rows{whose} are in a segment of {folder} that its worker did not seal.",
                "See in the gateway's log why it cannot seal, then run this again.",
            )
        (folder / SEAL_REQUEST).touch()
        time.sleep(_LOOK_AGAIN_S)


@contextmanager
def _own_folder(folder: Path) -> Iterator[bool]:
    """Whether the folder is nobody's, and so ours for the block: its worker does not run."""
    try:
        lock = FolderLock(folder / "lock", f"The call log {folder}")
    except StoreError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _running(segments: Collection[Path], account: str | None) -> int:
    settled, begun = _open_rows(segments, account)
    return len(begun - settled)


def _open_rows(segments: Collection[Path], account: str | None) -> tuple[set[str], set[str]]:
    """Settled and begun calls, by their ids, of one account or of all, in segments that are not sealed."""
    settled: set[str] = set()
    begun: set[str] = set()
    for path in segments:
        try:
            for line in read_segment(path):
                if line is not None and account in (None, line.row["account"]):
                    (settled if isinstance(line, Settled) else begun).add(line.row["call_id"])
        except StoreError:
            if path.exists():
                raise  # else it was sealed meanwhile
    return settled, begun
