"""Reading what an upstream answers, whole or as it streams by: the texts, the usage, how it ended."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from stillroom.base.records import Route
from stillroom.client.newer_usage import chat_usage
from stillroom.client.reply import ParsedReply, read_completion, read_merged
from stillroom.client.route_reply import AS_CHAT, MERGES
from stillroom.client.stream import StreamReading, is_event_stream, read_json
from stillroom.client.usage import Usage, read_usage
from stillroom.serve.meter.estimate import estimated_tokens

MOST_READ_BYTES = 32 << 20
"""Of one reply. The texts of a longer one are not kept, so that no receipt can be over them; its usage is read."""

Outcome = Literal["ok", "refused", "failed"]

_TAIL_BYTES = 16384
_MATTERS = re.compile(rb'"usage"\s*:\s*\{|"(finish|stop)_reason"\s*:\s*"|"response"|\[DONE\]')
"""What is looked for in the events of a reply that is too long."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Said:
    """The texts of one choice, as `stillroom.client.reply` reads them."""

    reasoning: str | None
    answer: str
    tool_calls: tuple[dict[str, Any], ...] | None
    """Whole, in the form of a chat completion."""


class ReplyReader:
    """One reply. Feed it the events of a stream, or the whole body once; then ask. Never raises for what it is fed.

    What it holds is bounded by `most` bytes of reply. Looking at a property reads all that has come: once, at the end.
    """

    def __init__(self, route: Route, most: int = MOST_READ_BYTES) -> None:
        self.too_long = False
        """More came than was read: there are no texts."""
        self._route = route
        self._most = most
        self._bytes = 0
        self._stream: StreamReading | None = None
        self._usage = Usage()
        """Of a reply whose texts are not kept."""
        self._tokens_by_byte = 0.25
        """In a reply that is too long: estimated tokens for a byte of it, as far as it was read."""
        self._http_status = 200
        self._ended = False
        self._replies: tuple[ParsedReply, ...] | None = None
        self._has_choices = False

    def feed_event(self, event: bytes) -> None:
        """One event of a stream, or several, each to its end."""
        if self._stream is None:
            self._stream = StreamReading(MERGES[self._route]())
            event = event.removeprefix(_BOM)
        self._replies = None
        self._bytes += len(event)
        if self._bytes <= self._most:
            self._stream.feed(event)
            return
        if not self.too_long:
            if self.said:
                self._tokens_by_byte = self.estimated_completion_tokens / (self._bytes - len(event))
            self._usage = read_usage(self._stream.merged().completion)
            self.too_long = True
            self._stream = StreamReading(MERGES[self._route]())
        if _MATTERS.search(event):
            self._read_on(event)

    def whole(self, body: bytes, http_status: int = 200) -> None:
        """A body that was not streamed; an event stream in its place is read as one."""
        self._http_status = http_status
        raw = body.removeprefix(_BOM).strip()
        if is_event_stream(raw):
            self.feed_event(raw + b"\n\n")
            return
        self._ended = True
        self._bytes = len(raw)
        self.too_long = len(raw) > self._most
        if self.too_long or (self._route == "embeddings" and 200 <= http_status < 300):
            self._usage = _usage_in_tail(raw)
            self._replies = ()
            return
        value = read_json(raw)
        as_chat = AS_CHAT.get(self._route)
        if as_chat is not None and isinstance(value, dict):
            value = as_chat(value)
        self._replies = read_completion(value, http_status, raw)
        self._has_choices = _has_choices(value)

    @property
    def usage(self) -> Usage:
        """The provider's counts; None where it gave none."""
        replies = self._read()
        usage = self._usage if self.too_long or not replies else replies[0].usage
        if self._route == "embeddings" and usage.prompt_tokens is not None:
            return replace(usage, completion_tokens=0)
        return usage

    @property
    def counted_by(self) -> Literal["provider"] | None:
        """None where a count of the prompt or of the completion is missing, and somebody has to estimate it."""
        usage = self.usage
        return None if usage.prompt_tokens is None or usage.completion_tokens is None else "provider"

    @property
    def said(self) -> tuple[Said, ...]:
        """Of each choice, in the order of their index; none where no choice came, or the reply is too long."""
        replies = self._read()
        if self.too_long or not self._has_choices:
            return ()
        return tuple(Said(reply.reasoning, reply.answer, reply.tool_calls or None) for reply in replies)

    @property
    def estimated_completion_tokens(self) -> int:
        """From the texts, for a reply that nobody counted. One that is too long is taken to go on as it began."""
        if self.too_long:
            return math.ceil(self._bytes * self._tokens_by_byte)
        return sum(_estimated(said) for said in self.said)

    @property
    def may_be_signed(self) -> bool:
        """Whether a receipt can be over it: it came whole, and was read whole."""
        return not self.failed and not self.too_long

    @property
    def served_model(self) -> str | None:
        replies = self._read()
        return replies[0].served_model if replies else None

    @property
    def finished(self) -> bool:
        """The model had come to its end: every choice says why, or the stream says that it is over."""
        replies = self._read()
        return self._ended or (self._has_choices and all(reply.finish_reason is not None for reply in replies))

    @property
    def outcome(self) -> Outcome:
        """Once nothing more comes. `refused`: a filter, or the request was refused; `failed`: an error, or cut off."""
        if self._http_status >= 400:
            return "refused" if self._http_status < 500 else "failed"
        replies = self._read()
        if self.too_long or self._route == "embeddings":
            return "ok" if self.finished else "failed"
        if any(reply.status == "failed" for reply in replies) or not self.finished:
            return "failed"
        return "refused" if all(reply.status == "refused" for reply in replies) else "ok"

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"

    @property
    def error_kind(self) -> str | None:
        """Why there is no usable reply, as `stillroom.client.reply` names it."""
        return next((reply.error_kind for reply in self._read() if reply.error_kind is not None), None)

    def _read(self) -> tuple[ParsedReply, ...]:
        if self._replies is None:
            if self._stream is None:
                return ()
            merged = self._stream.merged()
            self._ended = self._ended or merged.ended
            self._has_choices = _has_choices(merged.completion)
            self._replies = read_merged(merged)
        return self._replies

    def _read_on(self, event: bytes) -> None:
        """What an event says by itself of the usage and of the end; it is not kept."""
        self._stream = StreamReading(MERGES[self._route]())
        self._stream.feed(event)
        merged = self._stream.merged()
        self._usage = _newer(self._usage, read_usage(merged.completion))
        choices = merged.completion.get("choices") or []
        self._ended = self._ended or merged.ended or any(choice.get("finish_reason") for choice in choices)


def _has_choices(completion: object) -> bool:
    choices = completion.get("choices") if isinstance(completion, dict) else None
    return isinstance(choices, list) and any(isinstance(choice, dict) for choice in choices)


def _estimated(said: Said) -> int:
    calls = "" if said.tool_calls is None else json.dumps(said.tool_calls)
    return estimated_tokens(f"{said.reasoning or ''}{said.answer}{calls}")


def _newer(before: Usage, now: Usage) -> Usage:
    """Counts grow: the last one of each is right."""
    return Usage(
        before.prompt_tokens if now.prompt_tokens is None else now.prompt_tokens,
        before.cached_tokens if now.cached_tokens is None else now.cached_tokens,
        before.completion_tokens if now.completion_tokens is None else now.completion_tokens,
        before.reasoning_tokens if now.reasoning_tokens is None else now.reasoning_tokens,
    )


def _usage_in_tail(raw: bytes) -> Usage:
    """The usage of a long body, whose last member it commonly is; unknown where it is not."""
    tail = raw[-_TAIL_BYTES:]
    at = tail.rfind(b'"usage"')
    end = tail.find(b"}", at)
    while at >= 0 and end >= 0:
        value = tail[at + len(b'"usage"') : end + 1].lstrip(b" \t\r\n:")
        try:
            usage = orjson.loads(value)
        except orjson.JSONDecodeError:
            end = tail.find(b"}", end + 1)
            continue
        return read_usage({"usage": chat_usage(usage) if "input_tokens" in usage else usage})
    return Usage()
