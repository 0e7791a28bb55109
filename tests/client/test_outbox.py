from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any, cast

import pytest

from stillroom.client import outbox as module
from stillroom.client.outbox import Outbox
from stillroom.client.outcome import Call
from stillroom.store.journal import Journal, Outcome


class Disk:
    """Writes when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[Outcome], Future[None]]] = []

    def settle(self, outcomes: list[Outcome]) -> Future[None]:
        self.asked.append((outcomes, Future()))
        return self.asked[-1][1]


class Body:
    def __init__(self, size: int) -> None:
        self.raw = bytes(size)


def outcome(size: int) -> Outcome:
    return Outcome(0, "ok", None, None, None, cast(Any, [Body(size)] * 2))


def is_full(outbox: Outbox) -> bool:
    return not outbox.has_room


CALL = cast(Call, None)


@pytest.mark.parametrize(("size", "number"), [(10, 100), (1, 300)])
def test_it_is_full_by_bytes_or_by_outcomes_until_they_are_written(
    monkeypatch: pytest.MonkeyPatch, size: int, number: int
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    monkeypatch.setattr(module, "MOST_OUTCOMES", 300)

    async def fill() -> None:
        disk = Disk()
        outbox = Outbox(cast(Journal, disk))
        for _ in range(number):
            assert not is_full(outbox)
            outbox.put(CALL, outcome(size))
        assert is_full(outbox)
        waiting = [asyncio.create_task(outbox.until_room()) for _ in range(2)]
        writing = asyncio.create_task(outbox.write())
        await asyncio.sleep(0)
        outbox.put(CALL, outcome(size))
        assert is_full(outbox)  # what is being written is in memory still
        disk.asked[0][1].set_result(None)
        assert len(await writing) == number
        await asyncio.gather(*waiting)
        assert not is_full(outbox)
        assert not outbox.is_empty
        disk_full = asyncio.create_task(outbox.write())
        await asyncio.sleep(0)
        disk.asked[1][1].set_exception(OSError("full"))
        with pytest.raises(OSError, match="full"):
            await disk_full
        assert outbox.is_empty

    asyncio.run(fill())


def test_one_large_body_fills_it_for_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)

    async def fill() -> list[int]:
        disk = Disk()
        outbox = Outbox(cast(Journal, disk))
        unpacked: list[int] = []

        async def unpack(number: int) -> None:
            await outbox.until_room()
            unpacked.append(number)
            outbox.put(CALL, outcome(2000))

        tasks = [asyncio.create_task(unpack(number)) for number in range(3)]
        for written in range(3):
            await outbox.until_some()
            await asyncio.sleep(0)
            assert unpacked == list(range(written + 1))
            writing = asyncio.create_task(outbox.write())
            await asyncio.sleep(0)
            disk.asked[-1][1].set_result(None)
            await writing
        await asyncio.gather(*tasks)
        return unpacked

    assert asyncio.run(fill()) == [0, 1, 2]
