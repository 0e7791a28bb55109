"""A piece of work that is given up when the client hangs up."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from stillroom.serve.gateway.exchange import Exchange, HungUp


class WhileConnected:
    """`async with WhileConnected(exchange):` ends with HungUp, wherever the block is, when the client hangs up.

    As `asyncio.timeout` does it: the block is cancelled, and only that cancellation becomes HungUp. A server also tells
    of the end of a response as if the client had gone: leave the block before the last bytes are written.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._hung_up = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._watch = asyncio.ensure_future(self._exchange.gone())
        self._watch.add_done_callback(self._give_up)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.remove_done_callback(self._give_up)
        self._watch.cancel()
        if self._hung_up and self._task.uncancel() <= self._cancelling and kind is not None:
            raise HungUp from error

    def _give_up(self, _: object) -> None:
        self._hung_up = True
        self._task.cancel()
