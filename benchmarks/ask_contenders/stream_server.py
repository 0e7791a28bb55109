"""Many event streams at once, each chunk in a packet of its own, as fast as a large model writes them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONG = b"Long: "
"""A question that holds this gets a long stream, any other one of six chunks, after `SHORT_S`."""
SHORT_S = 0.2
"""Long enough for more calls in flight to be faster: a client that looks for the right number finds that it is many."""
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LAST = b"0\r\n\r\n"


class StreamServer:
    """Streams of `chunks` chunks to `streams` clients, which begin together once all of them have asked."""

    def __init__(self, streams: int, chunks: int, chunks_per_s: float) -> None:
        self._streams, self._chunks, self._chunks_per_s = streams, chunks, chunks_per_s
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._long: list[socket.socket] = []
        self.all_asked = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._stream, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        """Requests of one connection, up to one for a long stream."""
        received = connection.makefile("rb")
        while (line := received.readline()).strip():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = received.readline()
            if LONG in received.read(length):
                self._long.append(connection)
                if len(self._long) == self._streams:
                    self.all_asked.set()
                return
            time.sleep(SHORT_S)
            connection.sendall(_HEAD + b"".join(events(6)) + _LAST)

    def _stream(self) -> None:
        self.all_asked.wait()
        for connection in self._long:
            connection.sendall(_HEAD)
        begun = time.perf_counter()
        for number, event in enumerate(events(self._chunks)):
            time.sleep(max(0.0, begun + number / self._chunks_per_s - time.perf_counter()))
            for connection in self._long:
                connection.sendall(event)
        for connection in self._long:
            connection.sendall(_LAST)


@contextmanager
def stream_server(streams: int, chunks: int, chunks_per_s: float) -> Iterator[StreamServer]:
    server = StreamServer(streams, chunks, chunks_per_s)
    server.start()
    try:
        yield server
    finally:
        server.close()


def events(chunks: int) -> Iterator[bytes]:
    """A stream as it goes over the wire: five of six chunks reasoning, then the answer, its end, the bill."""
    for number in range(chunks):
        field = "reasoning_content" if 6 * number < 5 * chunks else "content"
        yield _event(_chunk([{"index": 0, "delta": {field: f" word{number % 100}"}, "finish_reason": None}]))
    yield _event(_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    usage = {"prompt_tokens": 24, "completion_tokens": chunks, "total_tokens": 24 + chunks}
    yield _event(_chunk([], usage=usage))
    yield _framed(b"data: [DONE]\n\n")


def _chunk(choices: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-9f1c2d3e4a5b6c7d8e9f",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "teacher",
        "choices": choices,
        **fields,
    }


def _event(chunk: dict[str, Any]) -> bytes:
    return _framed(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
