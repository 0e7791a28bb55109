"""What an error means, from its HTTP status and its words.

Providers say one thing in many ways: a spent account is 402 here, 429 there and 400 elsewhere, and so is a key that is
refused. The words are looked for only under the statuses that go with them, in the error's own code, type and message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stillroom.base.records import Status

_LOOKED_AT = 4000
"""Characters of a message in which words are looked for."""
_SHOWN = 300
_HTTP_ERRORS = {str(code) for code in range(400, 600)}


@dataclass(frozen=True, slots=True)
class _Meaning:
    error_kind: str
    http_statuses: frozenset[int]
    words: re.Pattern[str]
    status: Status = "failed"


def _meaning(error_kind: str, http_statuses: set[int], *words: str, status: Status = "failed") -> _Meaning:
    return _Meaning(error_kind, frozenset(http_statuses), re.compile("|".join(words)), status)


_MEANINGS = (
    _meaning(
        "content_filter",
        {400, 403, 422, 451},
        r"content_?filter|content_policy|content management policy|responsible ?ai ?policy",
        r"flagged as potentially violating|prohibited_content|unsafe or sensitive content|considered high risk",
        r"data_inspection_failed|content exists risk",
        status="refused",
    ),
    _meaning(
        "no_credit",
        {400, 401, 402, 403, 412, 429},
        r"insufficient_quota|billing_not_active|billing_hard_limit|hard limit has been reached|payment_required",
        r"exceeded your current quota|exceeded_current_quota|exceeded your monthly|monthly spending limit",
        r"credit balance is? ?too low|insufficient.balance|balance is insufficient|insufficient.credits?",
        r"(credit|key) limit exceeded|credits are depleted|out of credits|used all available credits",
        r"have any credits|requires more credits|add \d+ credits|arrearage|free tier of the model has been exhausted",
    ),
    _meaning(
        "key_refused",
        {400, 401, 403},
        r"(incorrect|invalid|wrong|expired)[ _](x-)?api[ _-]?key|api[ _]key[ _](not valid|invalid|expired)",
        r"authentication_error|authentication fails|invalid_authentication|token expired or incorrect",
        r"unregistered callers|(missing|invalid)[\w ]* authorization header|no auth credentials",
    ),
    _meaning(
        "too_long",
        {400, 413, 422, 429, 500},
        r"context[_ ](length|window|size|limit)|exceed_context_size|maximum (model|prompt) length|token limit: \d",
        r"(prompt|input|request) (is )?(too (long|large)|exceeds max|length should be)|request_too_large",
        r"input (token count|length) .*exceeds|exceeds the maximum allowed length|string_above_max_length",
        r"too large for model|`?inputs`? (tokens \+|must have less than)|max_new_tokens|reduce the length",
    ),
    _meaning(
        "no_model",
        {400, 403, 404, 410, 422},
        r"model_not_(found|available|supported|exist)|model_decommissioned|invalid[ _]model|deploymentnotfound",
        r"not a valid model|unknown model|no endpoints found|unable to access model",
        r"\bmodels?\b.{0,100}?(does not exist|not exist|not found|decommissioned)",
    ),
)
_LIMIT_ITSELF_TOO_LARGE = re.compile(r"max_(completion_)?tokens\W.{0,40}?is too large")
"""The token limit of the request is larger than what the model takes; the question may be short."""
_COME_BACK = re.compile(r"(retry|try again) in \d|retrydelay")
PERMIT_KINDS = frozenset(
    f"permit_{end}" for end in ("spent", "expired", "not_begun", "revoked", "not_yours", "model", "required", "refused")
)
"""What a stillroom gateway says of a permit, in its error's `code`; another code that begins so is `permit_refused`."""
_PERMIT_STATUSES = {400, 401, 403, 429, None}
_BY_STATUS = {401: "key_refused", 402: "no_credit", 413: "too_long"}


def error_of(reply: Mapping[str, Any]) -> object:
    """The error in a decoded body, None where it holds none. Mistral, vLLM and SGLang send it as the body itself."""
    return reply.get("error") or (reply if reply.get("object") == "error" else None)


def read_error(error: object, http_status: int, text: str = "") -> tuple[Status, str, str]:
    """Status, error_kind and the server's own words (at most 300 characters).

    `error` is the error object or text; `text`, the start of the body, stands in where it has no message. Under status
    200 the error's own code counts as the status, if it has one.
    """
    fields: Mapping[str, Any] = error if isinstance(error, dict) else {}
    message = _message(error) or text
    named = [str(fields[name]) for name in ("code", "type", "status") if isinstance(fields.get(name), (str, int))]
    words = " ".join(" ".join([*named, message[:_LOOKED_AT]]).lower().split())
    status = _http_status(fields) if 200 <= http_status < 300 else http_status
    if status in (400, 403) and _is_flagged(fields):
        return "refused", "content_filter", shorten(message)
    if status in _PERMIT_STATUSES and (kind := _permit_kind(fields.get("code"))) is not None:
        return "failed", kind, shorten(message)
    for meaning in _MEANINGS:
        if (status is None or status in meaning.http_statuses) and _means(meaning, status, words):
            return meaning.status, meaning.error_kind, shorten(message)
    return "failed", _kind_by_status(status, words), shorten(message)


def shorten(text: str) -> str:
    """The first 300 characters on one line, in text that can be written as UTF-8."""
    line = " ".join(text[: 4 * _SHOWN].split())[:_SHOWN]
    return line.encode("utf-8", errors="replace").decode("utf-8")


def _means(meaning: _Meaning, status: int | None, words: str) -> bool:
    if not meaning.words.search(words):
        return False
    if meaning.error_kind == "no_credit":
        # Gemini calls its limits per minute a quota too, and says when to come back. Its limits per day heal tomorrow.
        return not _COME_BACK.search(words) or "perday" in words
    if meaning.error_kind == "too_long" and status == 429:
        return "request too large" in words  # for the limit of tokens per minute, however long one waits
    return meaning.error_kind != "too_long" or not _LIMIT_ITSELF_TOO_LARGE.search(words)


def _permit_kind(code: object) -> str | None:
    if not isinstance(code, str) or not code.startswith("permit_"):
        return None
    return code if code in PERMIT_KINDS else "permit_refused"


def _kind_by_status(status: int | None, words: str) -> str:
    if status is None:
        if "rate_limit" in words or "rate limit" in words:
            return "http_429"
        return "http_529" if "overloaded" in words else "error_in_body"
    if status == 404 and "model" in words:
        return "no_model"
    return _BY_STATUS.get(status, f"http_{status}")


def _http_status(fields: Mapping[str, Any]) -> int | None:
    for name in ("code", "status_code"):
        code = fields.get(name)
        if isinstance(code, (int, str)) and str(code) in _HTTP_ERRORS:
            return int(code)
    return None


def _is_flagged(fields: Mapping[str, Any]) -> bool:
    metadata = fields.get("metadata")
    return isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata)


def _message(error: object) -> str:
    """The words of an error: a text, or what its object calls message or detail, with what stands behind it."""
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    said = error.get("message") or error.get("detail")
    message = said if isinstance(said, str) else str(said)[:_LOOKED_AT] if said else ""
    metadata = error.get("metadata")
    upstream = metadata.get("raw") if isinstance(metadata, dict) else None
    # OpenRouter says "Provider returned error" and hands on the provider's own words.
    return f"{message}: {upstream}" if isinstance(upstream, str) and upstream else message
