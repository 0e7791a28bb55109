"""HTTP/1.1 as uvicorn speaks it, with the bounds that it leaves out: on a request's head, and on open connections."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stillroom.serve.settings import Bounds

_HEAD_BYTES = 64 << 10


def bounded_protocol(bounds: Bounds) -> type[HttpToolsProtocol]:
    """A protocol class whose connections are closed where a request's head is too long or too slow.

    Beyond `bounds.connections` at once a connection is closed as soon as it is made: what waits in the kernel's queue
    costs less than what is answered.
    """

    class BoundedProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._head_bytes = 0
            self._head_timer: asyncio.TimerHandle | None = None
            if len(self.connections) > bounds.connections:
                transport.abort()
                return
            self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_is_there()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._head_timer is None and self._between_requests():
                self._wait_for_head()
            if self._head_timer is not None:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._head_timer is not None and self._head_bytes > _HEAD_BYTES:
                self.transport.abort()

        def on_headers_complete(self) -> None:
            self._head_is_there()
            super().on_headers_complete()

        def _between_requests(self) -> bool:
            return self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body)

        def _wait_for_head(self) -> None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(bounds.body_s, self.transport.abort)

        def _head_is_there(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

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
