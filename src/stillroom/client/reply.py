"""Reading the body of a reply: what was answered, what was reasoned, how it ended, what it used.

A body is never trusted to have its promised shape: whatever is missing or of another type is unknown, and a body that
holds no reply has an `error_kind` that says why. Reading is pure, so that it can be done again on the journal's `raw`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stillroom.base.records import ReasoningForm, Reply, Status
from stillroom.client.usage import Usage, read_usage
from stillroom.text.think import Block, split_think

_CUT_BY_LIMIT = {"length", "max_tokens", "model_length"}
_ERROR_CODES = {str(code) for code in range(400, 600)}
_FILTERED = {"content_filter", "safety", "refusal", "prohibited_content", "blocklist"}


@dataclass(frozen=True, slots=True)
class ParsedReply:
    status: Status
    error_kind: str | None = None
    """Why there is no usable reply; `stillroom.client.retry` says which of them are worth another call."""
    message: str = ""
    """The server's own words about an error, at most 300 characters."""
    reasoning: str | None = None
    answer: str = ""
    block: Block = "none"
    reasoning_form: ReasoningForm = "none"
    finish_reason: str | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    usage: Usage = field(default_factory=Usage)


def parse_reply(body: bytes, http_status: int = 200) -> ParsedReply:
    """Read one chat completion.

    Reasoning is taken from `reasoning_content`, `reasoning` or `reasoning_details`, from the thinking parts of a
    content list, or else from a leading `<think>` block. An error object under status 200 counts as the status in its
    `code`. error_kind: `http_NNN`, `empty_body`, `not_json`, `not_a_reply`, `error_in_body`, `no_choices`, `no_text`,
    `no_answer`, `content_filter`, `refusal`, `too_long`, `no_model`, `no_credit`.
    """
    text = body.decode("utf-8", errors="replace").strip()  # blank lines are sent to keep a connection alive
    try:
        decoded = json.loads(text) if text else None
    except (ValueError, RecursionError):
        decoded = None
    reply: Mapping[str, Any] = decoded if isinstance(decoded, dict) else {}
    error = reply.get("error")
    succeeded = 200 <= http_status < 300
    if not succeeded and reply.get("choices"):
        parsed = _parse_choice(reply)  # some filters answer 400 with a whole completion that says so
        if parsed.status == "refused":
            return parsed
    if not succeeded or (error and not reply.get("choices")):
        return _parse_error(error, http_status, text)
    if not reply:
        return ParsedReply("failed", "not_json" if text else "empty_body", _shorten(text))
    return _parse_choice(reply)


def read_reply(reply: Reply) -> ParsedReply:
    """The text of a reply from the journal. A reply that failed holds an error or nothing: its text is empty."""
    if reply.status == "failed":
        return ParsedReply("failed", reply.error_kind)
    return replace(parse_reply(reply.raw), status=reply.status, error_kind=reply.error_kind)


def _parse_choice(reply: Mapping[str, Any]) -> ParsedReply:
    usage = read_usage(reply)
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    common: dict[str, Any] = {
        "served_model": _clean(reply.get("model")),
        "fingerprint": _clean(reply.get("system_fingerprint")),
        "usage": usage,
    }
    if choice is None:
        is_reply = "choices" in reply  # without it this is JSON from somewhere else, such as a wrong address
        return ParsedReply("empty" if is_reply else "failed", "no_choices" if is_reply else "not_a_reply", **common)
    if isinstance(choice.get("error"), dict) or choice.get("finish_reason") == "error":
        return ParsedReply("failed", "error_in_body", _message_of(choice.get("error")), **common)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    content, thinking = _content(message.get("content"))
    reasoning, form = _reasoning(message, thinking)
    block: Block = split_think(content).block
    answer = content
    if reasoning is None:
        split = split_think(content)
        reasoning, answer = split.reasoning, split.answer
        form = "full" if reasoning is not None else form
    elif block != "none":
        block = "not_well_formed"  # reasoning in its own field and a tag in the answer: not ours to guess at
    if form == "none" and usage.reasoning_tokens:
        form = "hidden"
    finish_reason = _clean(choice.get("finish_reason"))
    status, error_kind = _status(finish_reason, message, reasoning, answer)
    return ParsedReply(
        status,
        error_kind,
        reasoning=reasoning,
        answer=answer,
        block=block,
        reasoning_form=form,
        finish_reason=finish_reason,
        **common,
    )


def _status(
    finish_reason: str | None, message: Mapping[str, Any], reasoning: str | None, answer: str
) -> tuple[Status, str | None]:
    finish = (finish_reason or "").lower()
    if finish in _FILTERED:
        return "refused", "content_filter"
    if message.get("refusal") and not answer.strip():
        return "refused", "refusal"
    if finish in _CUT_BY_LIMIT:
        return "truncated", None
    if answer.strip():
        return "ok", None
    return "empty", "no_answer" if reasoning or message.get("tool_calls") else "no_text"


def _content(value: object) -> tuple[str, str | None]:
    """Text and thinking of a message's content, which is text, null, or a list of parts."""
    if isinstance(value, str):
        return _clean(value) or "", None
    parts = [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
    thoughts: list[str] = []
    for part in parts:
        inner = part.get("thinking")
        thoughts.append(inner if isinstance(inner, str) else _join(inner))
    return _join(parts), _clean("".join(thoughts)) or None


def _join(parts: object) -> str:
    """The `text` of each part, one after the other."""
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return _clean("".join(text for text in texts if isinstance(text, str))) or ""


def _reasoning(message: Mapping[str, Any], thinking: str | None) -> tuple[str | None, ReasoningForm]:
    listed = message.get("reasoning_details")
    details = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
    summarised = any(part.get("type") == "reasoning.summary" for part in details)
    told = [message.get("reasoning_content"), message.get("reasoning"), thinking]
    told += ["".join(part[name] for part in details if isinstance(part.get(name), str)) for name in ("text", "summary")]
    for value in told:
        if isinstance(value, str) and value.strip():
            # A summary is somebody else's words about the reasoning, and may stand in the same field as the real thing.
            return (_clean(value) or "").strip(), "summary" if summarised else "full"
    return None, "hidden" if any(part.get("type") == "reasoning.encrypted" for part in details) else "none"


def _parse_error(error: object, http_status: int, text: str) -> ParsedReply:
    fields: Mapping[str, Any] = error if isinstance(error, dict) else {}
    code = fields.get("code")
    message = _message_of(error) or _shorten(text)
    if 200 <= http_status < 300:
        if not (isinstance(code, (int, str)) and str(code) in _ERROR_CODES):
            return ParsedReply("failed", "error_in_body", message)
        http_status = int(code)
    words = f"{code} {fields.get('type')} {message}".lower()
    metadata = fields.get("metadata")
    flagged = isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata)
    if http_status in (400, 403) and (flagged or "content_filter" in words or "content_policy" in words):
        return ParsedReply("refused", "content_filter", message)
    if http_status in (400, 413, 422) and ("context_length" in words or "context length" in words):
        return ParsedReply("failed", "too_long", message)
    if "model_not_found" in words or "model not exist" in words:
        return ParsedReply("failed", "no_model", message)
    if http_status == 402 or (http_status == 429 and "insufficient_quota" in words):
        return ParsedReply("failed", "no_credit", message)
    return ParsedReply("failed", f"http_{http_status}", message)


def _message_of(error: object) -> str:
    if isinstance(error, dict):
        error = error.get("message")
    return _shorten(error) if isinstance(error, str) else ""


def _shorten(text: str) -> str:
    return (_clean(" ".join(text.split())) or "")[:300]


def _clean(value: object) -> str | None:
    """Text that can be written as UTF-8: a reply cut in the middle of an emoji holds half of a surrogate pair."""
    return value.encode("utf-8", errors="replace").decode("utf-8") if isinstance(value, str) else None
