"""Server-sent events as bytes: told apart as they come, none of them changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from stillroom.base.records import Route
from stillroom.client.stream import END, read_events

MOST_EVENT_BYTES = 8 << 20
"""An event with an image in it may have megabytes; what is longer is passed on in pieces."""

_ENDS = re.compile(rb"\n\r?\n|\r\r|\n(?=data:)")
_OVERLAP = len(b"\ndata:") - 1
"""Bytes at the end of a chunk in which an end may have begun."""
_DONE = "[DONE]"
_LAST: Mapping[Route, frozenset[str]] = {
    "chat": frozenset({_DONE}),
    "completions": frozenset({_DONE}),
    "messages": frozenset({"message_stop"}),
    "responses": frozenset({"response.completed", "response.incomplete", "response.failed"}),
    "embeddings": frozenset(),
}


class EventSplitter:
    """Cuts a stream into its events. Joined again they are the bytes that came, whatever the chunks were.

    An event ends with its blank line. Some servers leave that out: a data line that is whole by itself ends an event
    too where another one follows. No more than `most` bytes and the last chunk are held.
    """

    def __init__(self, most: int = MOST_EVENT_BYTES) -> None:
        self._most = most
        self._held = bytearray()
        self._searched = 0
        """No end begins in `_held` before here."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk ends, each with its blank line."""
        if (
            not self._held
            and chunk.startswith(b"data:")
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk[-1:] == b"\n"
        ):
            return [chunk]  # one event of one line, as most chunks are
        held = self._held
        held += chunk
        events: list[bytes] = []
        start = 0
        for end in _ENDS.finditer(held, self._searched):
            if len(end[0]) == 1 and not _is_whole(bytes(held[start : end.end()])):
                continue
            events.append(bytes(held[start : end.end()]))
            start = end.end()
        if len(held) - start > self._most:
            events.append(bytes(held[start:]))
            start = len(held)
        del held[:start]
        self._searched = max(0, len(held) - _OVERLAP)
        return events

    def rest(self) -> bytes:
        """What is left when the stream has ended: an event without its blank line, or nothing."""
        left, self._held, self._searched = bytes(self._held), bytearray(), 0
        return left


def is_last_event(route: Route, event: bytes) -> bool:
    """Whether nothing follows this event: `[DONE]`, `message_stop`, or the end of a response, however it ended."""
    last = _LAST[route]
    return any(name.encode() in event for name in last) and _type_of(event) in last


def is_usage_event(event: bytes) -> bool:
    """Whether an event of a chat or a completion holds the usage and nothing else, as `include_usage` asks for."""
    if b'"usage"' not in event or b'"choices"' not in event:
        return False
    return any(
        isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)
        for value in read_events(event)
    )


def _type_of(event: bytes) -> str | None:
    for value in read_events(event):
        if value is END:
            return _DONE
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            return str(value["type"])
    return None


def _is_whole(lines: bytes) -> bool:
    """Whether these lines hold one data line, and that is a JSON object or `[DONE]`."""
    if not lines.rstrip().endswith((b"}", b"[DONE]")):
        return False
    data = [line[5:].strip() for line in lines.splitlines() if line.startswith(b"data:")]
    if len(data) != 1 or not data[0].startswith((b"{", b"[DONE]")):
        return False
    if data[0] == b"[DONE]":
        return True
    try:
        orjson.loads(data[0])
    except orjson.JSONDecodeError:
        return False
    return True
