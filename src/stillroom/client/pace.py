"""How many calls may be in flight: one until the teacher has answered, then a fixed number."""

from __future__ import annotations

import asyncio


class Pace:
    """`async with pace:` holds one slot for the length of one call.

    The first call goes alone, so that a wrong key or a wrong model costs one call and not `concurrency` of them.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self._slots = asyncio.Semaphore(1)
        self._is_open = False

    def open(self) -> None:
        """The teacher has answered: all slots, from now on."""
        if not self._is_open:
            self._is_open = True
            for _ in range(self.concurrency - 1):
                self._slots.release()

    async def __aenter__(self) -> None:
        await self._slots.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()
