"""What a teacher can do wrong, as values that a test hands to it. A script names them by the names of the functions.

A fault that says `for streams` or `where several choices are asked for` leaves other requests alone: they are answered
well. The bill follows the usage that a reply tells; where it tells none that can be read, it follows the words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from stillroom.testing import rewrites
from stillroom.testing.rewrites import Completion

Status = Annotated[int, Field(ge=200, le=599)]
Seconds = Annotated[float, Field(ge=0)]
Part = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
"""A script's values are held to these ranges; 0 pieces or half a choice make no sense in a test either."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request is answered badly. Make one with the functions below."""

    name: str = "fault"
    """How the teacher's books call it."""
    only_for: Literal["every request", "streams", "several choices"] = "every request"
    charged: bool = False
    """Whether the teacher sends a bill for it."""
    # -- the response -----------------------------------------------------------------------------------------------
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    retry_date_s: float | None = None
    """A Retry-After header with the date that is so many seconds away."""
    body: bytes | None = None
    """Sent as it is, streaming or not; None: the right reply, or what `rewrite` makes of it."""
    rewrite: Callable[[Completion], Completion] | None = None
    rewrite_events: Callable[[list[bytes]], list[bytes]] | None = None
    """For streams: what becomes of the events."""
    odd_bytes: bytes | None = None
    """The text of each choice ends with these bytes, as no JSON library would write them."""
    most_choices: int | None = None
    """No more choices than this are made, and charged."""
    tokens_over_limit: int | None = None
    """The answer is at least so many tokens longer than the request's limit."""
    deltas: int | None = None
    """In how many pieces a stream brings the text of a choice."""
    delta_characters: int | None = None
    """The length of these pieces. Neither this nor `deltas`: word by word."""
    # -- the way of the bytes ---------------------------------------------------------------------------------------
    wait_s: float = 0.0
    """Seconds of silence before the response; infinite: there never is one."""
    leading: tuple[bytes, ...] = ()
    """Sent before the body, as some servers send blank lines to keep a connection alive."""
    leading_s: float = 0.0
    """Seconds over which `leading` is sent."""
    pieces: int = 1
    """The response is sent in so many pieces."""
    pieces_s: float = 0.0
    """Seconds over which the pieces are sent."""
    stall_s: float = 0.0
    """Seconds of silence in the middle of the response."""
    send_part: Part = 1.0
    """The part of the response's bytes that is sent before the connection ends."""
    ending: Literal["reset", "close"] = "reset"
    """How the connection ends when only a part is sent: with an RST, or as if all were well (FIN)."""


# -- refused with a status -------------------------------------------------------------------------------------------


def http_error(
    status: Status,
    message: str = "an error",
    *,
    code: str | int | None = None,
    retry_after: str | int | float | None = None,
    charged: bool = False,
) -> Fault:
    """An error status with the usual error object, and a Retry-After header if given."""
    return _error("http_error", status, message, code=code, retry_after=retry_after, charged=charged)


def rate_limited(retry_after: str | int | float | None = None, *, date_in_s: Seconds | None = None) -> Fault:
    """429, with Retry-After as it is given, as the date that is so many seconds away, or without."""
    return _error("rate_limited", 429, "too many requests", retry_after=retry_after, retry_date_s=date_in_s)


def quota_exhausted() -> Fault:
    """429 as for a rate limit, but no waiting helps: the account has no credit."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return _error("quota_exhausted", 429, message, code="insufficient_quota", kind="insufficient_quota")


def key_refused() -> Fault:
    return _error("key_refused", 401, "Incorrect API key provided.", code="invalid_api_key")


def no_such_model() -> Fault:
    return _error("no_such_model", 404, "The model does not exist.", code="model_not_found")


def internal_error() -> Fault:
    return _error("internal_error", 500, "The server had an error.")


def bad_gateway() -> Fault:
    """502, with the page of a proxy."""
    return Fault("bad_gateway", status=502, headers=_HTML, body=b"<html><body>502 Bad Gateway</body></html>")


def unavailable(retry_after: str | int | float | None = None) -> Fault:
    return _error("unavailable", 503, "The service is not available.", retry_after=retry_after)


def gateway_timeout() -> Fault:
    """504 from a proxy that did not wait: the model answered, and its answer is charged."""
    body = b"<html><body>504 Gateway Time-out</body></html>"
    return Fault("gateway_timeout", status=504, headers=_HTML, body=body, charged=True)


def overloaded() -> Fault:
    return _error("overloaded", 529, "Overloaded", kind="overloaded_error")


def content_filtered() -> Fault:
    """Status 400, with a whole completion that says why, and that charges for the prompt."""
    return Fault("content_filtered", status=400, rewrite=rewrites.content_filtered_out, charged=True)


def n_refused() -> Fault:
    """400 where several choices are asked for."""
    return _error("n_refused", 400, "n must be 1 for this model.", code="invalid_n", only_for="several choices")


# -- connections -----------------------------------------------------------------------------------------------------


def reset() -> Fault:
    """The request is read and charged, then the connection is reset without a byte."""
    return Fault("reset", send_part=0.0, charged=True)


def cut_off(part: Part = 0.5) -> Fault:
    """A part of a response, streaming or not, then a reset."""
    return Fault("cut_off", send_part=part, charged=True)


def hung_up(part: Part = 0.0) -> Fault:
    """A part of a response, then the connection is closed in good order."""
    return Fault("hung_up", send_part=part, ending="close", charged=True)


def never_answered() -> Fault:
    """The request is taken and charged, and nothing ever comes."""
    return Fault("never_answered", wait_s=math.inf, charged=True)


def slow(seconds: Seconds) -> Fault:
    """The right reply, after this much silence."""
    return Fault("slow", wait_s=seconds, charged=True)


def slow_bytes(seconds: Seconds = 2.0, pieces: Count = 20) -> Fault:
    """The right reply, in pieces."""
    return Fault("slow_bytes", pieces=pieces, pieces_s=seconds, charged=True)


def stalled(seconds: Seconds) -> Fault:
    """Half of the right reply, streaming or not; after this much silence, the rest."""
    return Fault("stalled", stall_s=seconds, charged=True)


def blank_lines(count: Count = 20, seconds: Seconds = 0.0) -> Fault:
    """The right reply after blank lines that only keep the connection alive."""
    return Fault("blank_lines", leading=(b"\n",) * count, leading_s=seconds, charged=True)


# -- bodies ----------------------------------------------------------------------------------------------------------


def empty_body() -> Fault:
    return Fault("empty_body", body=b"")


def truncated_json() -> Fault:
    """A response that is complete for HTTP, and half a document."""
    body = b'{"id": "1", "choices": [{"message": {"content": "hal'
    return Fault("truncated_json", body=body, charged=True)


def not_json() -> Fault:
    """Status 200, and a page for people."""
    return Fault("not_json", headers=_HTML, body=b"<html><body>Bad gateway</body></html>")


def error_in_body(code: int | str | None = None, message: str = "upstream failed") -> Fault:
    """Status 200, and an error object in place of a reply."""
    return Fault("error_in_body", body=_json({"error": {"message": message, "code": code}}))


def raw_body(body: bytes, status: Status = 200, *, charged: bool = False) -> Fault:
    return Fault("raw_body", status=status, body=body, charged=charged)


def huge_body(megabytes: Annotated[float, Field(ge=0, le=1000)] = 50.0) -> Fault:
    """The right reply, with one word of this length at its end."""
    return _rewritten("huge_body", partial(rewrites.content_padded, megabytes=megabytes))


def empty_choices(prompt_tokens: Count = 9) -> Fault:
    """No choices, but a bill."""
    return _rewritten("empty_choices", partial(rewrites.choices_removed, prompt_tokens=prompt_tokens))


def null_content(finish_reason: str = "stop") -> Fault:
    """Neither content nor usage."""
    return _rewritten("null_content", partial(rewrites.content_nulled, finish_reason=finish_reason))


def missing_usage() -> Fault:
    return _rewritten("missing_usage", rewrites.usage_removed)


def usage_as_text() -> Fault:
    """The numbers of the usage as strings."""
    return _rewritten("usage_as_text", rewrites.usage_written_as_text)


def wrong_types() -> Fault:
    """Valid JSON with the right names, and none of the right types. Streams are left without any choice."""
    return _rewritten("wrong_types", rewrites.types_mixed_up)


def invalid_utf8() -> Fault:
    """The text ends with bytes that are no UTF-8."""
    return Fault("invalid_utf8", odd_bytes=b"\xff\xfe\xc3", charged=True)


def lone_surrogates() -> Fault:
    """The text ends with half of an escaped emoji."""
    return Fault("lone_surrogates", odd_bytes=b"\\ud83d", charged=True)


def content_as_parts() -> Fault:
    """The content is a list: a thinking part, if there is reasoning, and a text part."""
    return _rewritten("content_as_parts", rewrites.content_split_into_parts)


def unclosed_think() -> Fault:
    """The content is a think block that never closes."""
    return _rewritten("unclosed_think", rewrites.think_block_opened)


def fewer_choices(count: Count = 1) -> Fault:
    """No more choices than this, where several choices are asked for."""
    return Fault("fewer_choices", only_for="several choices", most_choices=count, charged=True)


def limit_ignored(tokens: Count = 10) -> Fault:
    """An answer that is so many tokens longer than the request allows, with finish reason `stop`."""
    return Fault("limit_ignored", tokens_over_limit=tokens, charged=True)


def other_model(model: str = "another-model", fingerprint: str = "fp_another") -> Fault:
    """The right reply, under another name."""
    return _rewritten("other_model", partial(rewrites.served_by, model=model, fingerprint=fingerprint))


# -- streams ---------------------------------------------------------------------------------------------------------


def keep_alive_comments(count: Count = 5, seconds: Seconds = 0.0) -> Fault:
    """For streams: comments before the first event, and one after each."""
    return Fault(
        "keep_alive_comments",
        only_for="streams",
        leading=(b": keep-alive\n\n",) * count,
        leading_s=seconds,
        rewrite_events=rewrites.with_comments,
        charged=True,
    )


def no_finish_reason() -> Fault:
    """For streams: all of the text, the usage and `[DONE]`, but no finish reason."""
    return Fault("no_finish_reason", only_for="streams", rewrite=rewrites.finish_reason_removed, charged=True)


def ended_early() -> Fault:
    """For streams: half of the events, and the end of the response in good order, without `[DONE]`."""
    return Fault("ended_early", only_for="streams", rewrite_events=rewrites.ended_half_way, charged=True)


def error_in_stream(code: int | str | None = 502, message: str = "upstream failed") -> Fault:
    """For streams: half of the events, then one that is an error object, then the end."""
    rewrite = partial(rewrites.with_error_half_way, code=code, message=message)
    return Fault("error_in_stream", only_for="streams", rewrite_events=rewrite, charged=True)


def tiny_chunks(count: Count = 1000) -> Fault:
    """For streams: the text of each choice in so many pieces; some are empty where it has fewer characters."""
    return Fault("tiny_chunks", only_for="streams", deltas=count, charged=True)


def split_think_tags(characters: Count = 3) -> Fault:
    """For streams: the reasoning in a think block of the content, in pieces so short that no tag comes whole."""
    rewrite = rewrites.think_block_written
    return Fault("split_think_tags", only_for="streams", rewrite=rewrite, delta_characters=characters, charged=True)


_HTML = (("Content-Type", "text/html"),)

_FUNCTIONS: tuple[Callable[..., Fault], ...] = (
    http_error, rate_limited, quota_exhausted, key_refused, no_such_model, internal_error, bad_gateway, unavailable,
    gateway_timeout, overloaded, content_filtered, n_refused,
    reset, cut_off, hung_up, never_answered, slow, slow_bytes, stalled, blank_lines,
    empty_body, truncated_json, not_json, error_in_body, raw_body, huge_body, empty_choices, null_content,
    missing_usage, usage_as_text, wrong_types, invalid_utf8, lone_surrogates, content_as_parts, unclosed_think,
    fewer_choices, limit_ignored, other_model,
    keep_alive_comments, no_finish_reason, ended_early, error_in_stream, tiny_chunks, split_think_tags,
)  # fmt: skip

FAULTS: Mapping[str, Callable[..., Fault]] = {function.__name__: function for function in _FUNCTIONS}
"""Every fault by its name."""


def _error(
    name: str,
    status: int,
    message: str,
    *,
    code: str | int | None = None,
    kind: str = "error",
    retry_after: str | int | float | None = None,
    retry_date_s: float | None = None,
    only_for: Literal["every request", "several choices"] = "every request",
    charged: bool = False,
) -> Fault:
    headers = () if retry_after is None else (("Retry-After", str(retry_after)),)
    body = _json({"error": {"message": message, "type": kind, "code": code}})
    return Fault(name, only_for, charged, status, headers, retry_date_s, body)


def _rewritten(name: str, rewrite: Callable[[Completion], Completion]) -> Fault:
    return Fault(name, rewrite=rewrite, charged=True)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8")
