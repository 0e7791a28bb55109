"""What a worker keeps in memory of the database: brought up to date by a thread, and never taken for newer than it is.

`fresh` tells whether the last reading that succeeded *began* at most 1.5 seconds ago: everything that was committed
before it began is known. Whoever uses what is kept must refuse to, where it is not fresh: a key or a permit may have
been revoked. With a reading every 0.4 seconds, what was revoked stops within two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from stillroom.base.clock import Clock, SystemClock

POLL_S = 0.4
FRESH_S = 1.5
_LOOK_S = 0.02


class Following:
    """Calls `read_changes`, whose body is a `reading()`, again and again from `start` to `close`."""

    def __init__(self, name: str, read_changes: Callable[[], None], clock: Clock | None = None) -> None:
        self._read_changes = read_changes
        self._clock = clock or SystemClock()
        self._read_at: float | None = None
        self._stop = Event()
        self._thread = Thread(target=self._follow, name=f"stillroom-{name}", daemon=True)

    async def start(self, read_first: Callable[[], None]) -> None:
        """Raises SQLAlchemyError where the database cannot be read."""
        await asyncio.to_thread(read_first)
        self._thread.start()

    async def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    @property
    def fresh(self) -> bool:
        """Whether all that was changed more than 1.5 seconds ago is known."""
        return self._read_at is not None and self._clock.monotonic() - self._read_at <= FRESH_S

    async def catch_up(self) -> None:
        """Wait until what was committed before now is known, or it takes longer than a reading may."""
        asked = self._clock.monotonic()
        while self._clock.monotonic() - asked < FRESH_S and (self._read_at is None or self._read_at < asked):
            await asyncio.sleep(_LOOK_S)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One reading: what it learns is as old as its beginning, and nothing is learned where it fails."""
        began = self._clock.monotonic()
        yield
        self._read_at = began

    def _follow(self) -> None:
        while not self._stop.wait(POLL_S):
            # The database may come back; until then `fresh` tells that it is gone.
            with suppress(SQLAlchemyError):
                self._read_changes()
