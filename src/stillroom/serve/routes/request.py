"""From a request's bytes to what it asks for, and to the bytes that the upstream gets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from stillroom.base.records import Route
from stillroom.serve.routes import chat, completions, embeddings, messages, responses
from stillroom.serve.routes.asked import AskedFor, too_deep, written
from stillroom.serve.routes.errors import ApiError

__all__ = ["AskedFor", "read_body", "read_request", "upstream_body"]

_READ: Mapping[Route, Callable[[Mapping[str, Any]], AskedFor]] = {
    "chat": chat.read,
    "completions": completions.read,
    "responses": responses.read,
    "embeddings": embeddings.read,
    "messages": messages.read,
}
_GOVERNED = frozenset(
    {
        *("model", "messages", "prompt", "input", "system", "instructions", "stream", "stream_options"),
        *("n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens"),
        *("previous_response_id", "conversation", "background"),
    }
)
"""Fields that decide what is allowed and what is counted: every reader of the body must find the same in them."""
_GOVERNED_KEYS = tuple(b'"%b"' % name.encode() for name in (*sorted(_GOVERNED), "include_usage"))
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")
"""A letter of a key may be written as an escape."""


def read_body(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request. Raises ApiError 400.

    Refused too: a governed field that is there twice, or in other letters. Parsers differ in which one they take, so
    that the upstream might answer another request than the one that was allowed.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The body is not JSON: {error}.", code="not_json") from error
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.", code="not_json")
    for name in body:
        if name not in _GOVERNED and (meant := name.casefold()) in _GOVERNED:
            raise ApiError(400, f"{name!r} is written {meant!r}.", code="unknown_parameter", param=meant)
    # A body in the shortest form, as most clients send it, comes out as it went in: nothing was lost in reading it.
    if written(body) != raw and _may_repeat(raw):
        _refuse_repeated(raw)
    return body


def read_request(route: Route, body: Mapping[str, Any]) -> AskedFor:
    """What is asked for. Only the fields that the gateway needs are looked at. Raises ApiError 400."""
    return _READ[route](body)


def upstream_body(raw: bytes, body: Mapping[str, Any], asked: AskedFor, model: str | None = None) -> bytes:
    """What the upstream is sent: the bytes as they came, unless something in them must be another.

    `model` is what it is called there, None: as here. The usage of a stream is asked for where the client did not, for
    the meter; `is_usage_event` tells the event that the client must then not see.
    """
    changed: dict[str, Any] = {}
    if model is not None and model != asked.model:
        changed["model"] = model
    if asked.stream and not asked.include_usage:
        options = body.get("stream_options") or {}
        changed["stream_options"] = {**options, "include_usage": True}
    return written({**body, **changed}) if changed else raw


def _may_repeat(raw: bytes) -> bool:
    """Whether a governed name stands in the body twice, anywhere."""
    return any(raw.count(key) > 1 for key in _GOVERNED_KEYS) or _ESCAPED_LETTER.search(raw) is not None


def _refuse_repeated(raw: bytes) -> None:
    repeated: list[str] = []
    within: list[str] = []

    def note_repeated(pairs: list[tuple[str, Any]]) -> None:
        # The outermost object is the last one that is closed.
        names = [name for name, _ in pairs]
        within.extend(["include_usage"] if names.count("include_usage") > 1 else [])
        repeated[:] = [name for name in _GOVERNED.intersection(names) if names.count(name) > 1]

    try:
        json.loads(raw, object_pairs_hook=note_repeated)
    except RecursionError as error:
        raise too_deep() from error
    if repeated or within:
        name = min(repeated or within)
        raise ApiError(400, f"{name} is there twice.", code="repeated_parameter", param=name)
