"""A pass-through and nothing else: Starlette, one HTTP server, one HTTP client.

    python bare.py granian|uvicorn pyreqwest|aiohttp PORT BASE_URL

It needs nothing of ours: it runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Pass = Callable[[bytes, str], Awaitable[tuple[int, bytes, str]]]
"""Body and authorization of a request; status, body and content type of the reply."""


def with_pyreqwest(url: str) -> Pass:
    from pyreqwest.client import ClientBuilder

    client = ClientBuilder().no_proxy().build()

    async def ask(body: bytes, authorization: str) -> tuple[int, bytes, str]:
        request = client.post(url).header("Content-Type", "application/json").header("Authorization", authorization)
        response = await request.body_bytes(body).build().send()
        return response.status, bytes(await response.bytes()), response.get_header("content-type") or ""

    return ask


def with_aiohttp(url: str) -> Pass:
    import aiohttp

    session: aiohttp.ClientSession | None = None

    async def ask(body: bytes, authorization: str) -> tuple[int, bytes, str]:
        nonlocal session
        if session is None:  # needs the event loop
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        async with session.post(url, data=body, headers=headers) as response:
            return response.status, await response.read(), response.headers.get("content-type", "")

    return ask


CLIENTS = {"pyreqwest": with_pyreqwest, "aiohttp": with_aiohttp}


def pass_through(ask: Pass) -> Starlette:
    async def chat(request: Request) -> Response:
        status, body, kind = await ask(await request.body(), request.headers.get("authorization", ""))
        return Response(body, status, {"content-type": kind})

    async def ready(_: Request) -> Response:
        return Response(b"ready")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/ready", ready)])


def serve_with_granian(app: Starlette, port: int) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    async def run() -> None:
        await Server(
            app,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
            backlog=2048,
        ).serve()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def serve_with_uvicorn(app: Starlette, port: int) -> None:
    import uvicorn

    uvicorn.run(
        app, port=port, http="httptools", loop="uvloop", ws="none", lifespan="off", log_level="warning", backlog=2048
    )


SERVERS = {"granian": serve_with_granian, "uvicorn": serve_with_uvicorn}


def main() -> None:
    server, client, port, base_url = sys.argv[1:]
    SERVERS[server](pass_through(CLIENTS[client](f"{base_url}/chat/completions")), int(port))


if __name__ == "__main__":
    main()
