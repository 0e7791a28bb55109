"""A response as bytes and the silences between them, with whatever a fault does on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from stillroom.testing.faults import Fault
from stillroom.testing.limits import http_date

Piece = tuple[float, bytes]
"""Seconds of silence, then the bytes."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    pieces: Sequence[Piece]
    ending: Literal["keep", "close", "reset"] = "keep"
    """What becomes of the connection afterwards."""


RIGHT = Fault("right")
"""Nothing wrong."""


def response(
    content: bytes | Sequence[bytes], fault: Fault = RIGHT, *, headers: Headers = (), delay_s: float = 0.0
) -> Response:
    """The response with this body, or with these events of a stream, after `delay_s` seconds of silence."""
    wait_s = fault.wait_s + delay_s
    if wait_s == math.inf:
        return Response([(wait_s, b"")])
    if isinstance(content, bytes):
        size = len(content) + sum(map(len, fault.leading))
        parts = [_head(fault, headers, ("Content-Length", str(size))), *fault.leading, content]
    else:
        stream = (("Content-Type", "text/event-stream"), *headers)
        chunks = [_chunk(event) for event in (*fault.leading, *content)]
        parts = [_head(fault, stream, ("Transfer-Encoding", "chunked")), *chunks, b"0\r\n\r\n"]
    if not (fault.leading_s or fault.stall_s or fault.pieces > 1 or fault.send_part < 1 or len(parts) > 2):
        return Response([(wait_s, b"".join(parts))])
    pieces = list(_on_the_way(parts, fault))
    pieces[0] = (wait_s + pieces[0][0], pieces[0][1])
    return Response(pieces, "keep" if fault.send_part == 1 else fault.ending)


def _on_the_way(parts: list[bytes], fault: Fault) -> Iterator[Piece]:
    if fault.send_part < 1:
        whole = b"".join(parts)
        yield 0.0, whole[: int(len(whole) * fault.send_part)]
    elif fault.pieces > 1:
        whole = b"".join(parts)
        size = math.ceil(len(whole) / fault.pieces)
        for at in range(0, len(whole), size):
            yield fault.pieces_s / fault.pieces, whole[at : at + size]
    elif fault.stall_s:
        whole = b"".join(parts)
        yield 0.0, whole[: len(whole) // 2]
        yield fault.stall_s, whole[len(whole) // 2 :]
    else:
        yield 0.0, parts[0]
        for number, part in enumerate(parts[1:]):
            yield fault.leading_s / len(fault.leading) if number < len(fault.leading) else 0.0, part


def _head(fault: Fault, headers: Headers, framing: tuple[str, str]) -> bytes:
    lines = dict((("Content-Type", "application/json"), *headers, *fault.headers, framing))
    if fault.retry_date_s is not None:
        lines["Retry-After"] = http_date(time.time() + fault.retry_date_s)
    written = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {fault.status} {_phrase(fault.status)}\r\n{written}\r\n".encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Scripted"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
