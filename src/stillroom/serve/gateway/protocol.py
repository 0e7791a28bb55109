"""HTTP/1.1 as uvicorn speaks it, with the bounds that it leaves out, and word of a connection that is lost.

What two servers in a row might read in two ways is refused: the first of them may have decided by its own reading who
asks, from where, and what may pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillroom.serve.settings import Bounds

_HEAD_BYTES = 64 << 10
"""Of a request's line and headers; also of what may come beside a body: trailers, the extensions of chunks."""

_BESIDE_FIELD = len(b": \r\n")


def _response(status: str, code: str, message: str) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = orjson.dumps({"error": error})
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body


_NO_HTTP = _response("400 Bad Request", "bad_http", "This is not HTTP/1.1, or can be read in two ways.")
_UPGRADE = _response("400 Bad Request", "no_upgrade", "Only HTTP/1.1 is spoken here. Send no Upgrade header.")
_TOO_SLOW = _response("408 Request Timeout", "request_too_slow", "The request was not there in time.")
_HEAD_TOO_LARGE = _response("431 Request Header Fields Too Large", "head_too_large", "The headers are too long.")


class _Unreadable(Exception):
    """Raised within the parser, which ends with it."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed where a request is too slow, its head too long, or the client reads nothing for too
    long. A request's scope has it as `stillroom.connection`: `when_lost` is called when it is gone, and `is_lost` says
    so afterwards.

    Beyond `bounds.connections` at once a connection is closed as soon as it is made: what waits in the kernel's queue
    costs less than what is answered.
    """

    bounds: ClassVar[Bounds]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.when_lost: Callable[[], None] | None = None
        self.is_lost = False
        self._head_is_there = False
        self._field_bytes = 0
        self._beside_body = 0
        """Bytes that came since the request began, or since the last ones of its body."""
        self._why_unreadable = _NO_HTTP
        self._is_deaf = False
        self._closes_afterwards = False
        self._request_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.bounds.connections:
            transport.abort()
            return
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._end_request_timer()
        self._end_stall_timer()
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    def data_received(self, data: bytes) -> None:
        self._beside_body += len(data)
        if self._is_deaf:
            if self._beside_body > _HEAD_BYTES:
                self.transport.abort()
            return
        if self._request_timer is None and not self._head_is_there and not self._is_answering():
            self._wait_for_request()
        super().data_received(data)
        if self._beside_body > 2 * _HEAD_BYTES and not self._is_deaf:
            self._refuse(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        if self._is_answering():
            raise _Unreadable
        self._head_is_there, self._field_bytes = False, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._field_bytes += len(name) + len(value) + _BESIDE_FIELD
        if self._field_bytes > _HEAD_BYTES:
            self._end_parsing(_HEAD_TOO_LARGE)
        # A field after the body is no header: a proxy that adds headers, or takes them away, does not look there.
        if not self._head_is_there:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._field_bytes + len(self.url) > _HEAD_BYTES:
            self._end_parsing(_HEAD_TOO_LARGE)
        if self.parser.should_upgrade():  # the parser would take the body for something else
            self._end_parsing(_UPGRADE)
        version = self.parser.get_http_version()
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if version not in ("1.0", "1.1") or (codings and (version, codings) != ("1.1", [b"chunked"])):
            self._end_parsing(_NO_HTTP)
        self.scope["stillroom.connection"] = self  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self._head_is_there = True
        # Who is answered early goes on sending for a while, and would find a reset where the answer was.
        self._closes_afterwards, self.cycle.keep_alive = not self.cycle.keep_alive, True

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._end_request_timer()
        self._head_is_there, self._beside_body = False, 0
        super().on_message_complete()
        if self._closes_afterwards:
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words for it
        """Called where the parser ended."""
        if self._is_answering() and not self._head_is_there:
            # Requests ahead of their turn are not read: the answer that is being given is the last one here.
            self._is_deaf = True
            self.cycle.keep_alive = False
        else:
            self._refuse(self._why_unreadable)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self.bounds.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall_timer()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_request(self) -> None:
        self._request_timer = self.loop.call_later(self.bounds.body_s, self._refuse, _TOO_SLOW)

    def _end_parsing(self, why: bytes) -> None:
        self._why_unreadable = why
        raise _Unreadable

    def _refuse(self, response: bytes) -> None:
        """Say so where something was asked that is not answered yet, and let go of the connection."""
        is_answered = self.cycle.response_started if self._head_is_there else self._is_answering()
        if (self._head_is_there or self._beside_body) and not is_answered:
            self.transport.write(response)
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._is_deaf = True
        self.transport.close()

    def _end_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _end_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None


def bounded_protocol(bounds: Bounds) -> type[BoundedProtocol]:
    """What uvicorn makes of each connection, with these bounds."""
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds})


def uvicorn_settings(bounds: Bounds) -> dict[str, Any]:
    """Arguments of `uvicorn.Config`."""
    return {
        "http": bounded_protocol(bounds),
        "ws": "none",
        "loop": "uvloop",
        "interface": "asgi3",
        "access_log": False,  # addresses and paths are the meter's to keep, or not
        "log_level": "error",
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,  # whom to believe is decided in `callers`
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": int(bounds.drain_s) or 1,
    }
