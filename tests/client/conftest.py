from __future__ import annotations

import asyncio

import pytest


class HurriedClock:
    """A clock whose sleeps take no time, and are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._now_s = 1_000_000.0

    def now_us(self) -> int:
        return round(self._now_s * 1e6)

    def monotonic(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now_s += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock()
