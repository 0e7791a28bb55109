"""The log of one worker: an intent before a call is passed on, what came of it before its last bytes go out.

`begin` and `settle` append to the open segment in the calling thread, some microseconds each; a thread of the log's own
syncs once a second, begins the next segment when one is full or old, and tries again what a full disk refused. A second
one has segments sealed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stillroom.base.errors import StillroomError, StoreError
from stillroom.base.records import Call
from stillroom.serve.meter.chain import Sign
from stillroom.serve.meter.lookup import find_receipt
from stillroom.serve.meter.recovery import recover
from stillroom.serve.meter.sealer import seal_before
from stillroom.serve.meter.segment_file import LogFull, SegmentFile, begun_line, settled_line
from stillroom.store.files import sync
from stillroom.store.lock import FolderLock
from stillroom.text.prints import EarlierPrints

SEAL_REQUEST = "seal-please"
"""A file of this name in a worker's folder has it seal what is settled, within a second or two."""

_TICK_S = 1.0
_SEAL_AGAIN_S = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogState:
    """For metrics and readiness."""

    open_calls: int
    rows: int
    """Settled in the open segment."""
    waiting: int
    """Settlements that are not on the disk, since it takes no more."""
    refusing: str | None
    """Why `begin` refuses; None: it does not."""
    problem: str | None
    """What went wrong in the background last, and has not worked since."""


class CallLog:
    """One worker's log, from when it is made until `close`. `begin` and `settle` may be called from any thread.

    Raises StoreError where the folder is in use by another process, LogFull where what that process's end left open
    cannot be settled.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rows: int = 50_000,
        age_s: float = 3600,
        reserve_bytes: int = 64 << 20,
        sign: Sign | None = None,
    ) -> None:
        """`folder`: the worker's own, `calls/w0`. A segment is sealed at `rows` settled calls, or after `age_s`."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}.", "Mend the folder's rights.") from error
        self._folder, self._rows_per_segment, self._age_s = folder, rows, age_s
        self._reserve_bytes, self._sign = reserve_bytes, sign
        self._folder_lock = FolderLock(folder / "lock", f"The call log {folder}")
        try:
            self.recovered: list[Call]
            """The calls that were open when the process before this one ended. They are in the log, as `unknown`."""
            self.recovered, number = recover(folder)
            self._segment = self._next_segment(number)
        except BaseException:
            self._folder_lock.release()
            raise
        self._lock = threading.Lock()
        self._open: dict[str, bytes] = {}
        self._waiting: list[bytes] = []
        self._rows, self._begun_at = 0, time.monotonic()
        self._look_at_disk_at, self._disk_problem = 0.0, ""
        self._problems: dict[str, str] = {}
        self._is_dirty, self._is_closed = True, False
        self._wake = threading.Event()
        self._seal_again_at = 0.0
        self._sealing = ThreadPoolExecutor(1, thread_name_prefix="sealing")
        self._have_sealed(number)
        self._keeper = threading.Thread(target=self._keep, name="call log", daemon=True)
        self._keeper.start()

    def begin(self, call: Call) -> None:
        """Write down that a call is about to be passed on. Raises LogFull: then it must not be."""
        line = begun_line(call)
        with self._lock:
            refusing = self._refusing()
            if refusing:
                raise LogFull(refusing, "Free space on its disk; until then no call is passed on.")
            self._segment.append(line)
            self._open[call.call_id] = line
            self._is_dirty = True

    def settle(
        self,
        call: Call,
        sketch: bytes | None = None,
        receipt: str | None = None,
        earlier: EarlierPrints | None = None,
    ) -> None:
        """Write down what came of a call that was begun. Once for each: ValueError otherwise.

        Does not fail for a full disk: the settlement is kept, `begin` refuses, and it is written once there is room.
        `receipt`: the JWS, found again by the call's `receipt_id`. `earlier`: see `prints.overlapping_at`.
        """
        line = settled_line(call, sketch, receipt, earlier)
        with self._lock:
            if self._open.pop(call.call_id, None) is None:
                raise ValueError(f"{call.call_id} was not begun here, or is settled already")
            self._write_or_keep(line)
            self._rows += 1
            if self._rows == self._rows_per_segment:
                self._wake.set()

    def receipt(self, receipt_id: str) -> tuple[str, str] | None:
        """The account and the JWS of a receipt that any worker of this gateway gave. Reads files: not for a loop."""
        return find_receipt(self._folder.parent, receipt_id)

    def state(self) -> LogState:
        with self._lock:
            refusing = self._refusing()
            problem = " ".join(self._problems.values())
            return LogState(len(self._open), self._rows, len(self._waiting), refusing or None, problem or None)

    def close(self) -> None:
        """Settle what is still open as `unknown`, seal everything, and let go of the folder. Once.

        What cannot be written now is found and sealed by the next process: nothing is raised for it.
        """
        with self._lock:
            self._is_closed = True
            still_open = list(self._open)
        self._wake.set()
        self._keeper.join()
        self._sealing.shutdown()
        self._try("write", self._write_waiting)
        self._try("sync", self._segment.sync)
        self._segment.close()
        if still_open:
            _log.warning("%d calls were still open when the log was closed", len(still_open))
        self._try("seal", self._seal_rest)
        self._folder_lock.release()

    def _seal_rest(self) -> None:
        _, number = recover(self._folder)
        seal_before(self._folder, number, self._sign)

    def _refusing(self) -> str:
        """Why no intent may be written; empty: it may."""
        if self._is_closed:
            return f"The call log {self._folder} is closed."
        if self._waiting:
            return f"{len(self._waiting)} settlements wait for room in {self._folder}."
        now = time.monotonic()
        if now >= self._look_at_disk_at:
            self._look_at_disk_at = now + _TICK_S
            self._disk_problem = self._what_the_disk_lacks()
        return self._disk_problem

    def _what_the_disk_lacks(self) -> str:
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            return f"{self._folder} cannot be looked at: {error.strerror}."
        has_room = disk.f_bavail * disk.f_frsize >= self._reserve_bytes
        return "" if has_room else f"Less than {self._reserve_bytes} bytes are free in {self._folder}."

    def _write_or_keep(self, line: bytes) -> None:
        self._is_dirty = True
        if not self._waiting:
            try:
                self._segment.append(line)
                return
            except LogFull as full:
                _log.error("%s", full)
        self._waiting.append(line)

    def _write_waiting(self) -> None:
        """In their order, as many as there is room for. Raises LogFull."""
        with self._lock:
            while self._waiting:
                self._segment.append(self._waiting[0])
                del self._waiting[0]

    def _keep(self) -> None:
        """The log's own thread: what is done once a second."""
        while not self._is_closed:
            self._wake.wait(_TICK_S)
            self._wake.clear()
            self._try("write", self._write_waiting)
            self._try("sync", self._sync)
            self._try("next segment", self._begin_next_if_due)
            if self._seal_again_at and time.monotonic() >= self._seal_again_at:
                self._seal_again_at = 0.0
                self._have_sealed(self._segment.number)

    def _try(self, name: str, step: Callable[[], None]) -> bool:
        try:
            step()
        except (StillroomError, OSError) as error:
            if self._problems.get(name) != str(error):
                _log.error("%s", error)
            self._problems[name] = str(error)
            return False
        self._problems.pop(name, None)
        return True

    def _sync(self) -> None:
        with self._lock:
            is_dirty, self._is_dirty = self._is_dirty, False
        if is_dirty:
            self._segment.sync()

    def _begin_next_if_due(self) -> None:
        request = self._folder / SEAL_REQUEST
        is_asked = request.exists()
        is_old = time.monotonic() - self._begun_at >= self._age_s
        if self._rows and not self._waiting and (is_asked or is_old or self._rows >= self._rows_per_segment):
            self._begin_next()
        if is_asked:
            request.unlink(missing_ok=True)

    def _begin_next(self) -> None:
        """Carry what is open over into a new segment, and have the old one sealed."""
        segment = SegmentFile.prepare(self._folder, self._segment.number + 1, time.time_ns() // 1000)
        try:
            segment.sync()
            with self._lock:
                if self._waiting:
                    raise LogFull(f"{len(self._waiting)} settlements wait for room in {self._folder}.")
                segment.append(b"".join(self._open.values()))
                segment.publish()
                old, self._segment = self._segment, segment
                self._rows, self._begun_at = 0, time.monotonic()
        except (LogFull, OSError):
            segment.close()
            raise
        segment.sync()
        sync(self._folder)
        old.sync()
        old.close()
        self._have_sealed(segment.number)

    def _next_segment(self, number: int) -> SegmentFile:
        segment = SegmentFile.prepare(self._folder, number, time.time_ns() // 1000)
        segment.publish()
        segment.sync()
        sync(self._folder)
        return segment

    def _have_sealed(self, before: int) -> None:
        self._sealing.submit(self._seal_before, before).add_done_callback(_say_if_broken)

    def _seal_before(self, number: int) -> None:
        if not self._try("seal", lambda: seal_before(self._folder, number, self._sign)):
            self._seal_again_at = time.monotonic() + _SEAL_AGAIN_S


def _say_if_broken(sealing: Future[None]) -> None:
    error = sealing.exception()
    if error is not None:  # a mistake of ours, which a thread's future would keep to itself
        _log.error("Sealing a segment broke.", exc_info=error)
