"""The little of HTTP/1.1 that the teacher speaks, written for speed and for breaking it on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from stillroom.testing.response import Response

PIECES_IN_A_ROW = 32
"""Sent to one client before the others have their turn."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def says_its_length(self) -> bool:
        """A body in chunks is not read: its request is refused."""
        return self.method == "GET" or self.headers.get("content-length", "").isdecimal()


class Connection(asyncio.Protocol):
    """One client's connection: its requests one after the other, until a side hangs up.

    receive: gives the response to a request. finished: is called once for each of them, when the response is sent or
    the client has hung up. open_connections: the connection is among them while it is open.
    """

    def __init__(
        self,
        receive: Callable[[HttpRequest], Response],
        finished: Callable[[], None],
        open_connections: set[Connection],
    ) -> None:
        self._receive = receive
        self._finished = finished
        self._open_connections = open_connections
        self._received = bytearray()
        self._sending: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._open_connections.discard(self)
        if self._sending is not None:
            self._sending.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._serve()

    def end(self) -> None:
        self._transport.abort()

    def _serve(self) -> None:
        """Answer what has come, until an answer takes time or no request is whole."""
        while self._sending is None and not self._transport.is_closing() and (request := self._next_request()):
            try:
                response = self._receive(request)
            except BaseException:
                self._finished()
                self._transport.abort()
                raise
            if response.ending == "keep" and _is_last(request):
                response = Response(response.pieces, "close")
            if len(response.pieces) == 1 and response.pieces[0][0] == 0:
                self._transport.write(response.pieces[0][1])
                self._finish(response)
            else:
                self._sending = asyncio.get_running_loop().create_task(self._send(response))
                self._sending.add_done_callback(partial(self._sent, response=response))

    async def _send(self, response: Response) -> None:
        for number, (silence_s, data) in enumerate(response.pieces, 1):
            if silence_s or number % PIECES_IN_A_ROW == 0:
                await asyncio.sleep(silence_s)
            self._transport.write(data)
            await self._writable.wait()

    def _sent(self, task: asyncio.Task[None], response: Response) -> None:
        self._sending = None
        if task.cancelled():  # the client hung up, or the teacher stops
            self._finished()
        else:
            self._finish(response)
            self._serve()

    def _finish(self, response: Response) -> None:
        self._finished()
        if response.ending == "close":
            self._transport.close()
        elif response.ending == "reset":
            # With nothing left to linger for, closing sends RST and not FIN.
            connection: socket.socket = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def _next_request(self) -> HttpRequest | None:
        """The first whole request that has come, taken from the buffer."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        begin = end + 4
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() else 0
        if len(self._received) < begin + size:
            if headers.get("expect", "").lower() == "100-continue" and len(self._received) == begin:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = bytes(self._received[begin : begin + size])
        del self._received[: begin + size]
        method, path, *_ = [*first.split(" "), "", ""]
        return HttpRequest(method, path, headers, body)


def _is_last(request: HttpRequest) -> bool:
    """Whether the client wants no more of this connection, or sent a body whose end is not known."""
    return request.headers.get("connection", "").lower() == "close" or not request.says_its_length
