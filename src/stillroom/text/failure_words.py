"""Kinds of error in a person's words: `429 refused 12, reset 3`."""

from __future__ import annotations

from collections.abc import Mapping

WORDS = {
    "connect": "no connection",
    "connection": "reset",
    "timeout": "timed out",
    "http_400": "400 bad request",
    "http_401": "401 key refused",
    "http_404": "404 not found",
    "http_408": "408 timed out",
    "http_429": "429 refused",
    "http_500": "500 server error",
    "http_502": "502 bad gateway",
    "http_503": "503 unavailable",
    "http_504": "504 gateway timed out",
    "http_524": "524 gateway timed out",
    "http_529": "529 overloaded",
    "key_refused": "key refused",
    "no_credit": "no credit",
    "no_model": "no such model",
    "permit_spent": "permit spent",
    "permit_expired": "permit expired",
    "permit_not_begun": "permit not begun",
    "permit_revoked": "permit revoked",
    "permit_not_yours": "permit of another account",
    "permit_model": "permit for another model",
    "permit_required": "no permit",
    "permit_refused": "permit refused",
    "too_long": "question too long",
    "too_large": "reply too large",
    "content_filter": "filtered",
    "refusal": "declined",
    "empty_body": "empty body",
    "not_json": "unreadable body",
    "not_a_reply": "not a reply",
    "error_in_body": "error in a 200",
    "cut_stream": "stream cut",
    "no_choices": "no choices",
    "no_text": "no text",
    "no_answer": "reasoning without an answer",
}


def failures_in_words(by_kind: Mapping[str, int]) -> str:
    """Each kind with its number, the most frequent first."""
    ordered = sorted(by_kind.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{failure_words(kind)} {number:,}" for kind, number in ordered)


def failure_words(kind: str) -> str:
    """Of one kind; one that has no words of its own is named as it is."""
    return WORDS.get(kind) or kind.replace("http_", "HTTP ").replace("_", " ")
