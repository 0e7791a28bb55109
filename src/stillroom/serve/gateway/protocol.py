"""HTTP/1.1 as uvicorn speaks it, with the bounds that it leaves out, and word of a connection that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillroom.serve.settings import Bounds

_HEAD_BYTES = 64 << 10


def _response(status: str, code: str, message: str) -> bytes:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = orjson.dumps({"error": error})
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body


_TOO_SLOW = _response("408 Request Timeout", "request_too_slow", "The request was not there in time.")
_HEAD_TOO_LARGE = _response("431 Request Header Fields Too Large", "head_too_large", "The headers are too long.")


def bounded_protocol(bounds: Bounds) -> type[HttpToolsProtocol]:
    """A protocol class whose connections are closed where a request is too slow, its head too long, or the client reads
    nothing for too long. A request's scope has it as `stillroom.connection`: `when_lost` is called when it is gone.

    Beyond `bounds.connections` at once a connection is closed as soon as it is made: what waits in the kernel's queue
    costs less than what is answered.
    """

    class BoundedProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.when_lost: Callable[[], None] | None = None
            self._head_bytes = 0
            self._head_is_there = False
            self._request_timer: asyncio.TimerHandle | None = None
            self._stall_timer: asyncio.TimerHandle | None = None
            if len(self.connections) > bounds.connections:
                transport.abort()
                return
            self._wait_for_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_timers()
            super().connection_lost(exc)
            if self.when_lost is not None:
                self.when_lost()

        def data_received(self, data: bytes) -> None:
            if not self._head_is_there:
                if self._request_timer is None:
                    self._wait_for_request()
                self._head_bytes += len(data)
            super().data_received(data)
            if not self._head_is_there and self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self._refuse(_HEAD_TOO_LARGE)

        def on_headers_complete(self) -> None:
            self._head_is_there = True
            self.scope["stillroom.connection"] = self  # type: ignore[typeddict-unknown-key]
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._end_timers()
            self._head_is_there, self._head_bytes = False, 0
            super().on_message_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stall_timer = self.loop.call_later(bounds.stalled_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stall_timer is not None:
                self._stall_timer.cancel()
                self._stall_timer = None

        def _wait_for_request(self) -> None:
            self._request_timer = self.loop.call_later(bounds.body_s, self._refuse, _TOO_SLOW)

        def _refuse(self, response: bytes) -> None:
            """Say so where nothing was answered yet, and let go of the connection."""
            if self._head_bytes and (self.cycle is None or not self.cycle.response_started):
                self.transport.write(response)
            self.transport.close()

        def _end_timers(self) -> None:
            for timer in (self._request_timer, self._stall_timer):
                if timer is not None:
                    timer.cancel()
            self._request_timer = self._stall_timer = None

    return BoundedProtocol


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
