"""Reading a reply of any of the routes that a gateway has, whole or as the stream that it came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stillroom.base.records import Route
from stillroom.client import completions_reply, messages_reply, responses_reply
from stillroom.client.reply import ParsedReply, read_completion, read_merged
from stillroom.client.stream import ChunkMerge, Merge, StreamReading, is_event_stream, read_json

MERGES: Mapping[Route, Callable[[], Merge]] = {
    "chat": ChunkMerge,
    "completions": completions_reply.CompletionsMerge,
    "responses": responses_reply.ResponsesMerge,
    "messages": messages_reply.MessagesMerge,
    "embeddings": ChunkMerge,
}
AS_CHAT: Mapping[Route, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "completions": completions_reply.as_chat,
    "responses": responses_reply.as_chat,
    "messages": messages_reply.as_chat,
}
"""What puts a whole body of another route into the shape of a chat completion."""
_BOM = b"\xef\xbb\xbf"


def read_route_reply(route: Route, body: bytes) -> tuple[ParsedReply, ...]:
    """Each choice of a reply of status 200, as `stillroom.client.reply` reads them; never raises for what it is fed.

    One outcome that says why, where there is no choice.
    """
    raw = body.removeprefix(_BOM).strip()
    if is_event_stream(raw):
        reading = StreamReading(MERGES[route]())
        reading.feed(raw)
        return read_merged(reading.merged())
    value = read_json(raw)
    as_chat = AS_CHAT.get(route)
    if as_chat is not None and isinstance(value, dict):
        value = as_chat(value)
    return read_completion(value, 200, raw)
