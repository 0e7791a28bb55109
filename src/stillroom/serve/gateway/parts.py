"""What a worker's calls share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from stillroom.serve.accounts.directory import Directory
from stillroom.serve.escrow.escrow import Escrow
from stillroom.serve.gateway.marks import Marks
from stillroom.serve.gateway.metrics import Metrics
from stillroom.serve.gateway.upstream import Upstreams
from stillroom.serve.keyring import Keyring
from stillroom.serve.limits.limits import Limits
from stillroom.serve.meter.call_log import CallLog
from stillroom.serve.permits.desk import PermitDesk
from stillroom.serve.receipts import Receipts
from stillroom.serve.settings import GatewaySettings
from stillroom.text.prints import PrintsByTime


class Printing:
    """The prints of calls that began together, made one after the other once their servers have been asked.

    While a call waits for its model there is time for it; and where many begin in one turn of the event loop, each but
    the first finds the code and tables of printing in the processor's cache: alone, one takes three times as long.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def add(self, print_call: Callable[[], None]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._print_all)
        self._waiting.append(print_call)

    def _print_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for print_call in waiting:
            print_call()


class Later:
    """What goes on after a client has its answer."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def create(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for all of it; what takes longer is given up."""
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=seconds)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Parts:
    settings: GatewaySettings
    models: Mapping[str, Upstreams]
    directory: Directory
    permits: PermitDesk
    limits: Limits
    log: CallLog
    prints: PrintsByTime
    printing: Printing
    receipts: Receipts
    keyring: Keyring
    metrics: Metrics
    escrow: Escrow | None
    marks: Marks
    later: Later
