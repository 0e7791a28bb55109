"""Requests whose bodies are small and come in time, and answers that nobody keeps."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stillroom.serve.admin.answers import problem

MAX_BODY_BYTES = 64 << 10
BODY_S = 10.0
"""Seconds in which a body has to be there."""


class Bounded:
    """Reads each body before the application begins, so that nothing in it is held up by a client that is slow."""

    def __init__(self, app: ASGIApp, max_body_bytes: int = MAX_BODY_BYTES, body_s: float = BODY_S) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_unkept(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"  # an answer may hold a new key
            await send(message)

        try:
            async with asyncio.timeout(self._body_s):
                body = await self._read(receive)
        except TimeoutError:
            answer = problem(
                408, "timeout", "The body did not come in time. Send it at once.", headers={"Connection": "close"}
            )
            await answer(scope, receive, send_unkept)
            return
        except ClientDisconnect:
            return  # a half of a body may be whole JSON: it is not what was to be done
        if body is None:
            message = f"The body is larger than {self._max_body_bytes} bytes."
            await problem(413, "too_large", message, headers={"Connection": "close"})(scope, receive, send_unkept)
            return
        await self._app(scope, _receive_again(body, receive), send_unkept)

    async def _read(self, receive: Receive) -> bytes | None:
        """None: it is too large. Raises ClientDisconnect."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                return None
            if not message.get("more_body", False):
                return bytes(body)


def _receive_again(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def receive_again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
