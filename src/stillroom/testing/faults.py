"""What a teacher can do wrong, as values that a test hands to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request is answered badly. Make one with the functions below."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """None: the right reply."""
    leading: bytes = b""
    """Sent before the body, as some servers send blank lines to keep a connection alive."""
    send_part: float = 1.0
    """The part of the response's bytes that is sent before the connection is reset."""
    wait_s: float = 0.0
    """Seconds of silence before the response."""
    charged: bool = False
    """Whether the teacher counts tokens for it."""


def http_error(status: int, message: str = "an error", *, code: Any = None, retry_after: str | None = None) -> Fault:
    """An error status with the usual error object, and a Retry-After header if given."""
    error = {"message": message, "type": "error", "code": code}
    headers = (("Retry-After", retry_after),) if retry_after is not None else ()
    return Fault(status=status, headers=headers, body=_json({"error": error}))


def rate_limited(retry_after: str | None = None) -> Fault:
    return http_error(429, "too many requests", retry_after=retry_after)


def reset() -> Fault:
    """The request is read and counted, then the connection is reset without a byte."""
    return Fault(send_part=0.0, charged=True)


def cut_off() -> Fault:
    """Half of a response, then a reset."""
    return Fault(send_part=0.5, charged=True)


def slow(seconds: float) -> Fault:
    """The right reply, late."""
    return Fault(wait_s=seconds, charged=True)


def blank_lines(count: int = 20) -> Fault:
    """The right reply after blank lines that only keep the connection alive."""
    return Fault(leading=b"\n" * count, charged=True)


def empty_body() -> Fault:
    return Fault(body=b"")


def truncated_json() -> Fault:
    """A response that is complete for HTTP, and half a document."""
    return Fault(body=b'{"id": "1", "choices": [{"message": {"content": "hal', charged=True)


def not_json() -> Fault:
    return Fault(body=b"<html><body>Bad gateway</body></html>")


def empty_choices() -> Fault:
    usage = {"prompt_tokens": 9, "completion_tokens": 0}
    return Fault(body=_json({"choices": [], "usage": usage}), charged=True)


def null_content(finish_reason: str = "stop") -> Fault:
    choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": finish_reason}
    return Fault(body=_json({"choices": [choice], "usage": None}), charged=True)


def error_in_body(code: int | str | None = None, message: str = "upstream failed") -> Fault:
    """Status 200, and an error object in place of a reply."""
    return Fault(body=_json({"error": {"message": message, "code": code}}))


def raw_body(body: bytes, status: int = 200) -> Fault:
    return Fault(status=status, body=body)


def _json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8")
