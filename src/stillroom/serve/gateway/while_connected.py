"""A piece of work that is given up when the client hangs up, or when it takes too long."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from stillroom.serve.gateway.exchange import Exchange, HungUp


class WhileConnected:
    """`async with WhileConnected(exchange, seconds):` ends, wherever the block is, with HungUp when the client hangs
    up, and with TimeoutError after so many seconds.

    As `asyncio.timeout` does it: the block is cancelled, and only that cancellation becomes another error.
    """

    def __init__(self, exchange: Exchange, seconds: float) -> None:
        self._exchange = exchange
        self._seconds = seconds
        self._reason: type[Exception] | None = None

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        if self._exchange.connection.is_lost:  # while something before this was waited for
            raise HungUp
        self._task, self._cancelling = task, task.cancelling()
        self._exchange.connection.when_lost = self._hang_up
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._give_up, TimeoutError)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._exchange.connection.when_lost = None
        if self._reason is not None and self._task.uncancel() <= self._cancelling and kind is not None:
            raise self._reason from error

    def _hang_up(self) -> None:
        self._give_up(HungUp)

    def _give_up(self, reason: type[Exception]) -> None:
        if self._reason is None:
            self._reason = reason
            self._task.cancel()
