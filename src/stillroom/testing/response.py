"""A response as bytes and the silences between them, with whatever a fault does on the way."""

from __future__ import annotations

import math
import time
from collections import deque
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


RIGHT = Fault("right", charged=True)
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
    pieces = [(0.0, b"".join(parts))] if len(parts) == 2 else _one_by_one(parts, fault)
    if fault.send_part < 1 or fault.stall_s or fault.pieces > 1:
        pieces = _on_the_way(pieces, fault)
    pieces[0] = (wait_s + pieces[0][0], pieces[0][1])
    return Response(pieces, "keep" if fault.send_part == 1 else fault.ending)


def _one_by_one(parts: list[bytes], fault: Fault) -> list[Piece]:
    """After the head comes what only keeps the connection alive, with a silence before each."""
    silence_s = fault.leading_s / len(fault.leading) if fault.leading else 0.0
    alive_until = len(fault.leading)
    return [(silence_s if 1 <= number <= alive_until else 0.0, part) for number, part in enumerate(parts)]


def _on_the_way(pieces: list[Piece], fault: Fault) -> list[Piece]:
    """The pieces cut off, and with silences between their bytes, as the fault says."""
    size = sum(len(data) for _, data in pieces)
    end = int(size * fault.send_part)
    silences = [(at * end // fault.pieces, fault.pieces_s / fault.pieces) for at in range(fault.pieces)]
    if fault.stall_s:
        silences = sorted([*silences, (end // 2, fault.stall_s)])
    return list(_interrupted(pieces, silences, end))


def _interrupted(pieces: list[Piece], silences: list[tuple[int, float]], end: int) -> Iterator[Piece]:
    """The first `end` bytes. silences: after how many bytes, in rising order, and for how many seconds."""
    sent, waiting_s, due = 0, 0.0, deque(silences)
    for wait_s, data in pieces:
        waiting_s += wait_s
        stop = min(sent + len(data), end)
        begin = sent
        while due and due[0][0] < stop:
            at, silence_s = due.popleft()
            if at > sent:
                yield waiting_s, data[sent - begin : at - begin]
                sent, waiting_s = at, 0.0
            waiting_s += silence_s
        if stop > sent:
            yield waiting_s, data[sent - begin : stop - begin]
            sent, waiting_s = stop, 0.0
    if sent == 0:
        yield waiting_s, b""  # not a byte is to be sent


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
