"""Bytes on the wire: requests that no HTTP library would send, and a model's server that answers with any bytes."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATH = b"/v1/chat/completions"
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"


def authorization(key: str) -> bytes:
    return f"Authorization: Bearer {key}\r\n".encode()


def request(
    fields: bytes = b"",
    body: bytes = BODY,
    *,
    path: bytes = PATH,
    method: bytes = b"POST",
    version: bytes = b"HTTP/1.1",
    has_length: bool = True,
) -> bytes:
    """`fields`: whole header lines."""
    length = b"Content-Length: %d\r\n" % len(body) if has_length else b""
    return method + b" " + path + b" " + version + b"\r\nHost: x\r\n" + fields + length + b"\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port or 80), timeout=60)


def ask(url: str, data: bytes) -> bytes:
    """All that comes back, until the connection is closed by the other side."""
    with connect(url) as connection:
        with suppress(ConnectionError):  # it may be refused before all of it is sent
            connection.sendall(data)
        return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    came = b""
    with suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            came += piece
    return came


def read_answer(connection: socket.socket) -> bytes:
    """One response, which says how long it is."""
    came = b""
    while True:
        head, found, body = came.partition(b"\r\n\r\n")
        if found:
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
            if len(body) == int(length.partition(b": ")[2]):
                return came
        piece = connection.recv(1 << 16)
        if not piece:
            return came
        came += piece


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


def code(answer: bytes) -> str | None:
    """Of the error in a response."""
    told: str | None = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
    return told


@dataclass
class RawServer:
    """Answers each request with the bytes that stand, as latin-1, in its last message: `{"raw": "HTTP/1.1 ..."}`."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    """Of the requests that came."""

    def answer(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            came = b""
            while b"\r\n\r\n" not in came:
                came += self._more(connection)
            head, _, body = came.partition(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            while found and len(body) < int(found[1]):
                body += self._more(connection)
            self.heads.append(head)
            if body:
                connection.sendall(json.loads(json.loads(body)["messages"][-1]["content"])["raw"].encode("latin-1"))

    def _more(self, connection: socket.socket) -> bytes:
        piece = connection.recv(1 << 16)
        if not piece:
            raise ConnectionError
        return piece


@contextmanager
def raw_server() -> Iterator[RawServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def serve() -> None:
            with suppress(OSError):  # closed below
                while True:
                    server.answer(listener.accept()[0])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def raw_chat(raw: bytes | str, model: str = "raw", **more: Any) -> dict[str, Any]:
    text = raw.decode("latin-1") if isinstance(raw, bytes) else raw
    return {"model": model, "messages": [{"role": "user", "content": json.dumps({"raw": text})}], **more}
