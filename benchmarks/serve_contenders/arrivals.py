"""Requests at a constant rate, whatever becomes of the earlier ones: a process of its own, told on its standard input.

    python -m benchmarks.serve_contenders.arrivals < order.json

A latency runs from the moment a request was due, not from when it could be sent: a server that stands still for a
second makes all requests of that second late. Each request has a connection to itself while it is under way. One thread
and one `select`, whose time-outs are exact to microseconds where an event loop's are to milliseconds.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import httptools

PATIENCE_S = 30.0
MOST_CONNECTIONS = 900
"""`select` takes descriptors below 1024."""


@dataclass(frozen=True)
class Order:
    base_url: str
    key: str
    body: str
    """With `{number}` where each request has a number of its own."""
    per_s: float
    requests: int
    warm_up: int
    """More requests, before the others, that are not counted."""


@dataclass(frozen=True)
class Outcome:
    latencies_ms: list[float]
    wrong: int
    """Replies with another status than 200, broken off, or without a reply in time."""


class _Connection:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.number = 0
        self.is_done = False
        self._parser = httptools.HttpResponseParser(self)

    def send(self, request: bytes, due: float, number: int) -> None:
        self.due, self.number, self.is_done = due, number, False
        self._parser = httptools.HttpResponseParser(self)
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Whether the reply is whole. Raises OSError where it never will be."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionResetError("closed within a reply")
        self._parser.feed_data(data)
        return self.is_done

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    def on_message_complete(self) -> None:
        self.is_done = True


class _Arrivals:
    def __init__(self, order: Order) -> None:
        self._order = order
        address = urlsplit(order.base_url)
        assert address.hostname is not None
        assert address.port is not None
        self._address = (address.hostname, address.port)
        self._before, self._after = order.body.split("{number}")
        self._head = (
            f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {order.key}\r\nContent-Type: application/json\r\nContent-Length: "
        )
        self._idle: list[_Connection] = []
        self._busy: dict[socket.socket, _Connection] = {}
        self._latencies: list[float] = []
        self._wrong = 0

    def run(self) -> Outcome:
        total = self._order.warm_up + self._order.requests
        begin, sent = time.perf_counter() + 0.05, 0
        ends = begin + total / self._order.per_s + PATIENCE_S
        while (sent < total or self._busy) and time.perf_counter() < ends:
            now = time.perf_counter()
            while sent < total and (due := begin + sent / self._order.per_s) <= now:
                self._send(due, sent)
                sent += 1
            wait_s = max(0.0, begin + sent / self._order.per_s - time.perf_counter()) if sent < total else 0.1
            readable, _, _ = select.select(list(self._busy), [], [], wait_s)
            for each in readable:
                self._receive(self._busy[each])
        return Outcome(self._latencies, self._wrong + (total - sent) + len(self._busy))

    def _send(self, due: float, number: int) -> None:
        if not self._idle and len(self._busy) >= MOST_CONNECTIONS:
            self._wrong += 1
            return
        connection = self._idle.pop() if self._idle else _Connection(*self._address)
        body = f"{self._before}{number}{self._after}"
        self._busy[connection.socket] = connection
        try:
            connection.send(f"{self._head}{len(body)}\r\n\r\n{body}".encode(), due, number)
        except OSError:
            self._give_up(connection)

    def _receive(self, connection: _Connection) -> None:
        try:
            is_whole = connection.receive()
        except (OSError, httptools.HttpParserError):
            self._give_up(connection)
            return
        if not is_whole:
            return
        if connection.status != 200:
            self._wrong += 1
        elif connection.number >= self._order.warm_up:
            self._latencies.append(1000 * (time.perf_counter() - connection.due))
        del self._busy[connection.socket]
        self._idle.append(connection)

    def _give_up(self, connection: _Connection) -> None:
        self._wrong += 1
        del self._busy[connection.socket]
        connection.socket.close()


def main() -> None:
    outcome = _Arrivals(Order(**json.load(sys.stdin))).run()
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
