"""One request and its response over ASGI: the few things that every route of the gateway needs, and nothing more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol

import orjson

from stillroom.serve.settings import Bounds

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


class HungUp(Exception):  # noqa: N818 - not our error: the client's wish
    """The client is gone, or reads so slowly that it counts as gone."""


class BodyTooLargeError(ValueError):
    pass


class Connection(Protocol):
    """What `protocol.BoundedProtocol` tells of a connection beside what ASGI does."""

    when_lost: Callable[[], None] | None
    """Called once, when the connection is gone, or has been cut for its client's slowness."""
    is_lost: bool


class Exchange:
    """A request, and the response that is being sent to it."""

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, bounds: Bounds) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("ascii")
        """As it was written: a proxy that lets some paths pass has read this, and not what escapes in it stand for."""
        self.query: bytes = scope["query_string"]
        self.peer: str | None = scope["client"][0] if scope.get("client") else None
        self._headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name, []).append(value)
        self._receive, self._send, self._bounds = receive, send, bounds
        self.connection: Connection = scope["stillroom.connection"]
        self.status: int | None = None
        """What was answered; None until then."""
        self._body_was_asked_for = False

    def header(self, name: bytes) -> str | None:
        """The value of a header that stands once. Where it stands twice, nobody can say which was meant: ValueError."""
        values = self._headers.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise ValueError(f"the header {name.decode()} stands {len(values)} times")
        return values[0].decode("latin-1").strip()

    def last_header(self, name: bytes) -> str | None:
        """The value of the last of the headers of that name: what the nearest proxy wrote."""
        values = self._headers.get(name)
        return None if values is None else values[-1].decode("latin-1")

    def joined_header(self, name: bytes) -> str:
        """All headers of that name as one list, in their order; empty where there is none."""
        return b",".join(self._headers.get(name, ())).decode("latin-1")

    async def body(self) -> bytes:
        """Raises BodyTooLargeError; HungUp where the client goes away, or is cut off, before its request is whole."""
        most, self._body_was_asked_for = self._bounds.body_bytes, True
        declared = self.header(b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > most:
            raise BodyTooLargeError(f"the body is larger than {most} bytes")
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise HungUp
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise BodyTooLargeError(f"the body is larger than {most} bytes")
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def respond(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        """The whole response at once. It does not wait for the client to read it."""
        await self.begin(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": body})

    async def respond_json(self, status: int, content: Any, headers: Headers = ()) -> None:
        await self.respond(status, orjson.dumps(content), [JSON, *headers])

    async def begin(self, status: int, headers: Headers) -> None:
        self.status = status
        told = list(headers)
        if b"expect" in self._headers and not self._body_was_asked_for:
            told.append((b"connection", b"close"))  # its body may come now or not: what follows can't be told from it
        await self._send({"type": "http.response.start", "status": status, "headers": told})

    async def write(self, data: bytes, *, more: bool = True) -> None:
        """Returns when the client has room for more."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
