"""The second reply of a call that is in the escrow: drawn beside the one that is served, and kept sealed."""

from __future__ import annotations

import asyncio
import logging

from stillroom.base.errors import StoreError
from stillroom.base.escrow_commitment import Coin
from stillroom.base.records import Call
from stillroom.serve.escrow.escrow import Escrow
from stillroom.serve.gateway.admission import Admitted
from stillroom.serve.gateway.upstream import FirstAnswer, UpstreamFailed
from stillroom.serve.gateway.whole import read_whole
from stillroom.serve.settings import Bounds

_log = logging.getLogger(__name__)


class SecondReply:
    """Both replies are asked for with the same bytes, at the same moment; the coin says which is asked for first.

    The account pays for the one that it is served.
    """

    def __init__(self, escrow: Escrow, call: Call, admitted: Admitted, coin: Coin, task: asyncio.Task[bytes | None]):
        self._escrow, self._call, self._admitted = escrow, call, admitted
        self._coin, self._task = coin, task

    @classmethod
    async def ask(
        cls,
        escrow: Escrow,
        call: Call,
        admitted: Admitted,
        bodies: dict[str | None, bytes],
        headers: dict[str, str],
        bounds: Bounds,
    ) -> SecondReply:
        """Returns when the served one may be asked for."""
        coin = escrow.draw_coin()
        task = asyncio.create_task(_draw(admitted, bodies, headers, bounds))
        if coin == 1:
            await asyncio.sleep(0)  # the task has sent its request
        return cls(escrow, call, admitted, coin, task)

    async def seal(self, served: bytes | None) -> str | None:
        """The call's `escrow_digest`; None where one of the two is missing, or nothing can be kept now."""
        sealed = await self._task
        if served is None or sealed is None:
            return None
        call = self._call
        try:
            return await self._escrow.seal(
                call.call_id, call.account, served=served, sealed=sealed, request=self._admitted.raw, coin=self._coin
            )
        except StoreError as error:
            _log.error("The second reply of %s is not kept: %s", call.call_id, error)
            return None


async def _draw(
    admitted: Admitted, bodies: dict[str | None, bytes], headers: dict[str, str], bounds: Bounds
) -> bytes | None:
    try:
        async with (
            asyncio.timeout(bounds.call_s),
            FirstAnswer(admitted.upstreams, admitted.route, bodies, headers) as response,
        ):
            return await read_whole(response, bounds.reply_bytes) if response.status == 200 else None
    except (TimeoutError, UpstreamFailed) as error:
        _log.info("There is no second reply: %s", type(error).__name__)
        return None
