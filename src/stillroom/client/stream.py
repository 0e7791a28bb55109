"""An event stream, as it came, merged into the one completion that it carries.

Servers differ from the standard of server-sent events and from each other: comment lines that only keep the connection
alive, events without an empty line between them, an event in several data lines, a bare JSON object among the events.
All of them are read. Every line is looked at once: a stream of 200,000 chunks takes as long as 200 of 1,000.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")
_TEXTS = frozenset(("content", "reasoning_content", "reasoning", "refusal"))
END = object()
"""The value of the event `[DONE]`."""
UNREADABLE = object()
"""The value of an event that was meant as a JSON object and cannot be read."""


@dataclass(frozen=True, slots=True)
class MergedStream:
    completion: dict[str, Any]
    """In the shape of a completion that was not streamed; empty where no event held a JSON object."""
    begun: bool
    """Something came that was meant as a chunk, readable or not; comments and `[DONE]` are none."""
    ended: bool
    """`[DONE]` came."""
    damaged: bool
    """An event before the last one could not be read, so that text may be missing in the middle."""


def is_event_stream(body: bytes) -> bool:
    """Whether a body is an event stream, told by its first word: JSON begins with a bracket. Give it stripped."""
    return body.startswith(_BEGINNINGS)


def merge_stream(body: bytes) -> MergedStream:
    """Merge the chunks of each choice. Never raises: what cannot be read is left out, and is said in the result."""
    reading = StreamReading(ChunkMerge())
    reading.feed(body)
    return reading.merged()


def read_json(data: bytes) -> object:
    """The value of a JSON text, None where it is none. Invalid UTF-8 becomes U+FFFD; halves of surrogate pairs stay."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        # Also takes what some servers write and the standard forbids: NaN, raw control characters, lone surrogates.
        return json.loads(data.decode("utf-8", errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def read_events(body: bytes) -> Iterator[object]:
    """The value of each event; `END` for `[DONE]`, `UNREADABLE` for a JSON object that cannot be read."""
    held: list[bytes] = []  # data lines that are no JSON one by one: an event in several lines, or a damaged one
    for line in body.splitlines():
        line = line.strip()
        if line.startswith(b"data:"):
            data = line[5:].lstrip()
        elif line.startswith(b"{"):
            data = line
        elif not line and held:
            yield from _joined(held)
            held = []
            continue
        else:
            continue
        if held:
            held.append(data)
        elif data == b"[DONE]":
            yield END
        else:
            value = _read_line(data)
            if value is None:
                held = [data]
            else:
                yield value
    if held:
        yield from _joined(held)


def _read_line(data: bytes) -> object:
    """None at once for words, and for a line that ends in the middle of an object, as most damaged ones do."""
    is_whole = data.endswith(b"}") if data.startswith(b"{") else data.startswith(b"[") and data.endswith(b"]")
    return read_json(data) if is_whole else None


def _joined(lines: list[bytes]) -> Iterator[object]:
    whole = read_json(b"\n".join(lines)) if len(lines) > 1 else None
    if whole is not None:
        yield whole
        return
    for line in lines:
        value = END if line == b"[DONE]" else _read_line(line)
        if value is not None:
            yield value
        elif line.startswith(b"{"):
            yield UNREADABLE


@dataclass(slots=True)
class _Choice:
    texts: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Of a content that comes as lists of parts; text that came between them is among them."""
    details: dict[tuple[object, object], dict[str, Any]] = field(default_factory=dict)
    """`reasoning_details` by type and index."""
    tool_calls: list[Any] = field(default_factory=list)
    """As they came, in fragments."""
    whole: dict[str, Any] | None = None
    """A message that was sent in one piece; some servers repeat the whole text in the last event."""
    finish_reason: str | None = None
    error: object = None


class Merge(Protocol):
    """What puts the events of one API's stream together."""

    def add(self, event: dict[str, Any]) -> None: ...

    def completion(self) -> dict[str, Any]:
        """All that was added, in the shape of a chat completion; empty where nothing was."""
        ...


class ChunkMerge:
    """The chunks of a streamed chat completion."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._has_choices = False

    def add(self, chunk: dict[str, Any]) -> None:
        self._named["object"] = "chat.completion"
        for name in ("model", "system_fingerprint", "x_groq", "error"):
            value = chunk.get(name)
            if value:
                self._named[name] = value
        if chunk.get("object") == "error":
            self._named["error"] = chunk  # the event itself is the error
        self._add_usage(chunk.get("usage"))
        choices = chunk.get("choices")
        self._has_choices = self._has_choices or "choices" in chunk
        if not isinstance(choices, list):
            return
        for position, each in enumerate(choices):
            if isinstance(each, dict):
                self._add_choice(each, index_of(each, position))

    def _add_usage(self, usage: object) -> None:
        """Counts are repeated and grow: the last one of each counts. A null in a later chunk takes nothing back."""
        if usage and isinstance(usage, dict):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)

    def _add_choice(self, chunk: dict[str, Any], index: int) -> None:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        finish_reason = chunk.get("finish_reason")
        if finish_reason and isinstance(finish_reason, str):
            choice.finish_reason = finish_reason
        choice.error = chunk.get("error") or choice.error
        self._add_usage(chunk.get("usage"))
        message = chunk.get("message")
        if isinstance(message, dict) and message.get("content"):
            choice.whole = message
        delta = chunk.get("delta")
        if isinstance(delta, dict):
            _add_delta(choice, delta)

    def completion(self) -> dict[str, Any]:
        """Empty where nothing was added."""
        completion = dict(self._named)
        if self._usage:
            completion["usage"] = self._usage
        if self._has_choices:
            completion["choices"] = [_closed(index, choice) for index, choice in sorted(self._choices.items())]
        return completion


class StreamReading:
    """A stream read while it comes, in whole events."""

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self._begun = self._ended = self._damaged = self._unreadable = False

    def feed(self, events: bytes) -> None:
        """One event or several, each to its end: no line may be cut."""
        for event in read_events(events):
            self._begun = self._begun or event is not END
            self._damaged = self._damaged or self._unreadable
            self._unreadable = event is UNREADABLE
            if event is END:
                self._ended = True
            elif isinstance(event, dict):
                self._merge.add(event)

    def merged(self) -> MergedStream:
        """What has come so far."""
        # The last event of a stream that was cut is half an event: there, nothing is missing in the middle.
        return MergedStream(self._merge.completion(), self._begun, self._ended, self._damaged)


def index_of(choice: dict[str, Any], position: int) -> int:
    """The choice's own index, or where it stands among the others if it names none."""
    index = choice.get("index")
    return index if isinstance(index, int) else position


def _add_delta(choice: _Choice, delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if not value:
            continue
        if name in _TEXTS and isinstance(value, str):
            choice.texts[name].append(value)
        elif isinstance(value, list):
            if name == "content":
                _flush_text(choice)
                choice.parts.extend(part for part in value if isinstance(part, dict))
            elif name == "reasoning_details":
                for detail in value:
                    if isinstance(detail, dict):
                        _add_detail(choice, detail)
            elif name == "tool_calls":
                choice.tool_calls.extend(value)


def _flush_text(choice: _Choice) -> None:
    text = choice.texts.pop("content", None)
    if text:
        choice.parts.append({"type": "text", "text": "".join(text)})


def _add_detail(choice: _Choice, detail: dict[str, Any]) -> None:
    kind, index = detail.get("type"), detail.get("index")
    place = (kind if isinstance(kind, str) else None, index if isinstance(index, int) else None)
    block = choice.details.setdefault(place, {"type": place[0], "text": [], "summary": []})
    for name in ("text", "summary"):
        fragment = detail.get(name)
        if isinstance(fragment, str):
            block[name].append(fragment)
    for name in ("data", "signature"):
        if detail.get(name):
            block[name] = detail[name]


def _closed(index: int, choice: _Choice) -> dict[str, Any]:
    """The choice as it would have come without streaming."""
    message: dict[str, Any]
    if choice.whole is not None:
        message = choice.whole
    else:
        if choice.parts:
            _flush_text(choice)
        message = {name: "".join(fragments) for name, fragments in choice.texts.items()}
        if choice.parts:
            message["content"] = choice.parts
        if choice.tool_calls:
            message["tool_calls"] = choice.tool_calls
        if choice.details:
            message["reasoning_details"] = [
                block | {"text": "".join(block["text"]), "summary": "".join(block["summary"])}
                for block in choice.details.values()
            ]
    return {"index": index, "message": message, "finish_reason": choice.finish_reason, "error": choice.error}
