"""One worker process: `python -m stillroom.serve.gateway.worker`, started by the supervisor, its order on a pipe."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import uvicorn
import uvloop
from aiohttp import ClientSession

from stillroom.serve.accounts.directory import Directory
from stillroom.serve.database.address import database_url
from stillroom.serve.database.engine import open_database
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.gateway.app import Gateway
from stillroom.serve.gateway.left_limits import recover_limits
from stillroom.serve.gateway.machine import worker_place
from stillroom.serve.gateway.marks import Marks
from stillroom.serve.gateway.metrics import Metrics
from stillroom.serve.gateway.order import Order, take_order
from stillroom.serve.gateway.parts import Later, Parts, Printing
from stillroom.serve.gateway.protocol import uvicorn_settings
from stillroom.serve.gateway.upstream import Upstreams, open_session
from stillroom.serve.keyring import Keyring
from stillroom.serve.limits.limits import Limits
from stillroom.serve.meter.call_log import CallLog
from stillroom.serve.meter.chain import RECORD_TYPE
from stillroom.serve.permits.desk import PermitDesk
from stillroom.serve.receipts import Receipts
from stillroom.serve.settings import ModelSettings, UpstreamSettings
from stillroom.store.lock import FolderLock
from stillroom.store.secrets import Secrets
from stillroom.text.prints import PrintsByTime

_METRICS_S = 1.0
_GARBAGE = (20_000, 20, 50)
"""Objects made before the young ones are looked at, and so on: a call makes some hundreds, and few in circles."""


def main() -> None:
    with take_order() as order, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(order))


async def _work(order: Order) -> None:
    async with _open_parts(order) as parts:
        gateway = Gateway(parts)
        server = uvicorn.Server(uvicorn.Config(gateway, lifespan="off", **uvicorn_settings(parts.settings.bounds)))

        def drain(*_: object) -> None:
            gateway.drains = True
            server.should_exit = True

        # uvicorn takes these signals while it serves and raises them again afterwards: what is open has to be closed
        # then, not left.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, drain)
        listener = socket.socket(fileno=order.socket)
        tasks = [asyncio.create_task(_say_when_ready(server, order)), asyncio.create_task(_write_metrics(parts))]
        # What is there now stays: the collector need not look at it again, some thousand times a minute.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        await server.serve(sockets=[listener])
        for task in tasks:
            task.cancel()


async def _say_when_ready(server: uvicorn.Server, order: Order) -> None:
    while not server.started and not server.should_exit:
        await asyncio.sleep(0.01)
    order.report({"worker": order.worker})


async def _write_metrics(parts: Parts) -> None:
    while True:
        await asyncio.sleep(_METRICS_S)
        parts.metrics.upstreams_up = {name: upstreams.up for name, upstreams in parts.models.items()}
        with suppress(OSError):  # a full disk: the numbers come later
            parts.metrics.write()


@asynccontextmanager
async def _open_parts(order: Order) -> AsyncIterator[Parts]:
    """What a worker's calls share, and its closing: the log sealed, leases given back, connections ended."""
    settings = order.settings
    secrets = Secrets.open(settings.state)
    async with AsyncExitStack() as stack:
        engine = open_database(database_url(settings))
        stack.callback(engine.dispose)
        keyring = Keyring.open(settings.state)
        directory = Directory(engine, secrets)
        await directory.start()
        stack.push_async_callback(directory.close)
        permits = PermitDesk(engine, secrets, keyring)
        await permits.start()
        stack.push_async_callback(permits.close)
        log_folder = settings.state / "calls" / order.worker
        log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Raises where a process in this worker's place still lives: what it holds of limits is not to be ended.
        FolderLock(log_folder / "lock", f"The call log {log_folder}").release()
        place = worker_place(settings.state, order.worker)
        limits = Limits(engine, place)
        await limits.start()
        stack.push_async_callback(limits.close)
        await recover_limits(limits, place, log_folder)
        log = CallLog(
            log_folder,
            rows=settings.segments.rows,
            age_s=settings.segments.age_s,
            reserve_bytes=settings.segments.reserve_bytes,
            sign=lambda record: keyring.active.sign(RECORD_TYPE, record),
        )
        stack.push_async_callback(asyncio.to_thread, log.close)
        session = await stack.enter_async_context(open_session(settings.bounds))
        models = {model.name: _upstreams(model, order, session) for model in settings.models}
        for upstreams in models.values():
            watch = asyncio.create_task(upstreams.watch())
            stack.callback(watch.cancel)
        later = Later()
        stack.push_async_callback(later.finish, settings.bounds.drain_s)
        yield Parts(
            settings=settings,
            models=models,
            directory=directory,
            permits=permits,
            limits=limits,
            log=log,
            prints=PrintsByTime(secrets),
            printing=Printing(),
            receipts=Receipts(secrets, keyring, settings.owner),
            keyring=keyring,
            metrics=Metrics(settings.state / "metrics" / f"{order.worker}.json"),
            escrow=Escrow(settings.state / FOLDER, secrets, settings.escrow) if settings.escrow.share else None,
            marks=Marks(settings, secrets, keyring, order.tokenizers),
            later=later,
        )


def _upstreams(model: ModelSettings, order: Order, session: ClientSession) -> Upstreams:
    servers = model.upstreams
    if model.folder is not None:
        assert order.local_url is not None
        servers = (UpstreamSettings(base_url=order.local_url),)
    return Upstreams(model, servers, session)


if __name__ == "__main__":
    main()
