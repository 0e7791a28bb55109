"""What came back, on its way to the journal: bounded in number and in bytes."""

from __future__ import annotations

import asyncio

from stillroom.client.outcome import Call
from stillroom.store.journal import Journal, Outcome

MOST_OUTCOMES, MOST_BYTES = 1024, 1 << 26


class Outbox:
    """Outcomes that are not on the disk yet. While it is full nothing more is sent, and no body is unpacked."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[tuple[Call, Outcome]] = []
        self._outcomes = self._bytes = 0
        """Those included that are being written."""
        self._has_some, self._has_room = asyncio.Event(), asyncio.Event()
        self._has_room.set()

    @property
    def is_empty(self) -> bool:
        return self._outcomes == 0

    @property
    def has_room(self) -> bool:
        return self._has_room.is_set()

    async def until_some(self) -> None:
        await self._has_some.wait()

    async def until_room(self) -> None:
        """Each of those who wait looks again: the first of them may have filled it."""
        while not self.has_room:
            await self._has_room.wait()

    def put(self, call: Call, outcome: Outcome) -> None:
        self._waiting.append((call, outcome))
        self._has_some.set()
        self._count(1, _bytes(outcome))

    async def write(self) -> list[tuple[Call, Outcome]]:
        """Commit all that waits. Raises what the journal raises: then it is lost."""
        batch, self._waiting = self._waiting, []
        self._has_some.clear()
        try:
            await asyncio.wrap_future(self._journal.settle([outcome for _, outcome in batch]))
        finally:
            self._count(-len(batch), -sum(_bytes(outcome) for _, outcome in batch))
        return batch

    def _count(self, outcomes: int, size: int) -> None:
        self._outcomes += outcomes
        self._bytes += size
        if self._outcomes < MOST_OUTCOMES and self._bytes < MOST_BYTES:
            self._has_room.set()
        else:
            self._has_room.clear()


def _bytes(outcome: Outcome) -> int:
    """Its replies have one body in common."""
    return len(outcome.replies[0].raw) if outcome.replies else 0
