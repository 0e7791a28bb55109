"""Reading the body of a reply: what was answered, what was reasoned, how it ended, what it used.

A body is never trusted to have its promised shape: whatever is missing or of another type is unknown, and a body that
holds no reply has an `error_kind` that says why. Reading is pure, so that it can be done again on the journal's `raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stillroom.base.records import ReasoningForm, Reply, Status
from stillroom.client.error_kind import error_of, read_error, shorten
from stillroom.client.stream import MergedStream, index_of, is_event_stream, merge_stream, read_json
from stillroom.client.tool_calls import read_tool_calls
from stillroom.client.usage import Usage, read_usage
from stillroom.text.think import CLOSE, OPEN, Block, split_think
from stillroom.text.well_formed import well_formed

PARSER_VERSION = 2
"""Raised whenever the same body would be read differently: replies that an older one read may be read again."""

_CUT_BY_LIMIT = {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
_FILTERED = {
    "content_filter",
    "safety",
    "refusal",
    "prohibited_content",
    "blocklist",
    "recitation",
    "spii",
    "sensitive",
}
_BROKEN_OFF = {"error", "abort", "aborted", "cancelled", "network_error", "insufficient_system_resource"}
_UNKNOWN = Usage()
_NOT_TEXT = {"thinking", "reasoning", "redacted_thinking", "refusal", "tool_use"}
_GEMINI_OPEN, _GEMINI_CLOSE = "<thought>", "</thought>"


@dataclass(slots=True)
class ParsedReply:
    status: Status
    error_kind: str | None = None
    """Why there is no usable reply; `stillroom.client.retry` says which of them are worth another call."""
    message: str = ""
    """The server's own words about an error or a refusal, at most 300 characters."""
    reasoning: str | None = None
    answer: str = ""
    block: Block = "none"
    reasoning_form: ReasoningForm = "none"
    finish_reason: str | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    usage: Usage = _UNKNOWN
    """Of the whole call, whichever of its choices this is."""
    tool_calls: tuple[dict[str, Any], ...] = ()
    """As `stillroom.client.tool_calls` reads them."""


@dataclass(slots=True)
class _Body:
    """A body, decoded."""

    reply: Mapping[str, Any]
    choices: list[dict[str, Any]]
    """In order of their index."""
    stream: MergedStream | None
    raw: bytes


def parse_reply(body: bytes, http_status: int = 200, choice: int = 0) -> ParsedReply:
    """Read one choice of a chat completion, or of an event stream that carries one. `choice` counts from 0.

    Reasoning is taken from `reasoning_content`, `reasoning` or `reasoning_details`, from the thinking parts of a
    content list, or else from a leading `<think>` block. An error object under status 200 counts as the status in its
    `code`. error_kind: `http_NNN`, `key_refused`, `no_credit`, `no_model`, `too_long`, `error_in_body`, `cut_stream`,
    `empty_body`, `not_json`, `not_a_reply`, `no_choices`, `no_text`, `no_answer`, `content_filter`, `refusal`.
    A reply that failed keeps what text and usage came with it.
    """
    decoded = _decode(body)
    if choice >= len(decoded.choices):
        return _without_choice(decoded, http_status)
    return _read_choice(decoded, decoded.choices[choice], http_status, _common(decoded))


def parse_replies(body: bytes, http_status: int = 200, most: int | None = None) -> tuple[ParsedReply, ...]:
    """Read every choice, in order of `index`, `most` at most; where there is none, the one outcome of the call."""
    return _read_all(_decode(body), http_status, most)


def read_completion(completion: object, http_status: int = 200, raw: bytes = b"") -> tuple[ParsedReply, ...]:
    """`parse_replies` of a body that is decoded already, or was put into this shape from another API's.

    `raw` is the body as it came, for the words of an error that has no other.
    """
    return _read_all(_body(completion, None, raw), http_status)


def read_merged(stream: MergedStream) -> tuple[ParsedReply, ...]:
    """`parse_replies` of a stream that was merged as it came."""
    return _read_all(_body(stream.completion, stream, b""), 200)


def read_reply(reply: Reply) -> ParsedReply:
    """The text of a reply from the journal, with the outcome that the journal holds."""
    read = parse_reply(reply.raw, reply.http_status or 200, reply.choice)
    return replace(read, status=reply.status, error_kind=reply.error_kind)


def _decode(body: bytes) -> _Body:
    raw = body.removeprefix(b"\xef\xbb\xbf").strip()  # empty lines are sent to keep a connection alive
    stream = merge_stream(raw) if is_event_stream(raw) else None
    return _body(stream.completion if stream else read_json(raw), stream, raw)


def _body(value: object, stream: MergedStream | None, raw: bytes) -> _Body:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # Gemini puts an error into a list
    reply = value if isinstance(value, dict) else {}
    listed = reply.get("choices")
    choices = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if len(choices) > 1:
        places = {id(each): index_of(each, position) for position, each in enumerate(choices)}
        choices.sort(key=lambda each: places[id(each)])
    return _Body(reply, choices, stream, raw)


def _read_all(body: _Body, http_status: int, most: int | None = None) -> tuple[ParsedReply, ...]:
    if not body.choices:
        return (_without_choice(body, http_status),)
    common = _common(body)
    return tuple(_read_choice(body, choice, http_status, common) for choice in body.choices[:most])


def _common(body: _Body) -> dict[str, Any]:
    reply = body.reply
    return {
        "served_model": _clean(reply.get("model")) or None,
        "fingerprint": _clean(reply.get("system_fingerprint")) or None,
        "usage": read_usage(reply),
    }


def _without_choice(body: _Body, http_status: int) -> ParsedReply:
    """The outcome where no choice came, or fewer than were asked for."""
    reply, stream = body.reply, body.stream
    error = error_of(reply)
    succeeded = 200 <= http_status < 300
    common = _common(body)
    if error or not succeeded:
        text = body.raw[:4000].decode("utf-8", errors="replace")
        status, error_kind, message = read_error(error or reply, http_status, text)
        return ParsedReply(status, error_kind, message, **common)
    if not (stream.begun if stream else body.raw or reply):
        return ParsedReply("failed", "empty_body")
    if stream and not stream.ended and (not reply or "choices" in reply):
        return ParsedReply("failed", "cut_stream", **common)
    if "choices" in reply:
        return ParsedReply("empty", "no_choices", **common)
    # JSON from somewhere else, such as a wrong address, or no JSON at all.
    text = shorten(body.raw[:4000].decode("utf-8", errors="replace"))
    return ParsedReply("failed", "not_a_reply" if reply else "not_json", text, **common)


def _read_choice(body: _Body, choice: dict[str, Any], http_status: int, common: dict[str, Any]) -> ParsedReply:
    parsed = _read_message(choice, common)
    if parsed.status == "refused" or (parsed.status == "failed" and parsed.error_kind != "error_in_body"):
        return parsed  # some filters answer 400 with a whole completion that says so
    succeeded = 200 <= http_status < 300
    error = error_of(body.reply)
    if not succeeded or (error and (parsed.finish_reason is None or parsed.status == "failed")):
        status, error_kind, message = read_error(error, http_status)
        return replace(parsed, status=status, error_kind=error_kind, message=message)
    if body.stream and parsed.status != "failed":
        if parsed.finish_reason is None and not body.stream.ended:
            return replace(parsed, status="failed", error_kind="cut_stream")
        if body.stream.damaged:
            return replace(parsed, status="failed", error_kind="not_json")
    return parsed


def _read_message(choice: Mapping[str, Any], common: dict[str, Any]) -> ParsedReply:
    """A choice by itself, whatever stands around it."""
    said = choice.get("message")
    message: Mapping[str, Any] = said if isinstance(said, dict) else {}
    usage: Usage = common["usage"]
    content, thinking, thinking_form = _read_content(message.get("content"))
    reasoning, form = _read_reasoning(message, thinking, thinking_form)
    reasoning, answer, block, form = _split(content, reasoning, form)
    if form == "none" and usage.reasoning_tokens:
        form = "hidden"
    finish_reason = _clean(choice.get("finish_reason")) or None
    status, error_kind, words = _outcome(choice, message, finish_reason, reasoning, answer)
    if usage.completion_tokens == 0 and (answer or reasoning):
        usage = replace(usage, completion_tokens=None)  # there is text: nobody counted it
    return ParsedReply(
        status,
        error_kind,
        words,
        reasoning,
        answer,
        block,
        form,
        finish_reason,
        common["served_model"],
        common["fingerprint"],
        usage,
        read_tool_calls(message.get("tool_calls")),
    )


def _split(content: str, reasoning: str | None, form: ReasoningForm) -> tuple[str | None, str, Block, ReasoningForm]:
    """Reasoning, answer, state of the think block, and form, from the content and what stood in fields of its own."""
    if content.startswith(_GEMINI_OPEN):  # Gemini's endpoint writes its summary so
        content = content.replace(_GEMINI_OPEN, OPEN, 1).replace(_GEMINI_CLOSE, CLOSE, 1)
        form = "summary"
    split = split_think(content)
    if split.block == "none":
        return reasoning, content, "none", form
    inside = split.reasoning or None
    if reasoning is None:
        if inside and form != "summary":
            form = "full"
        return inside, split.answer, split.block, form
    if inside == reasoning:  # the same twice: in a field and in the text
        return reasoning, split.answer, split.block, form
    return reasoning, content, "not_well_formed", form  # not ours to guess at


def _outcome(
    choice: Mapping[str, Any],
    message: Mapping[str, Any],
    finish_reason: str | None,
    reasoning: str | None,
    answer: str,
) -> tuple[Status, str | None, str]:
    finish = (finish_reason or "").lower()
    error = choice.get("error")
    if error:
        return read_error(error, 200)
    if finish in _BROKEN_OFF:
        return "failed", "error_in_body", ""
    if finish in _FILTERED or finish.startswith("content_filter"):
        return "refused", "content_filter", ""
    is_blank = not answer or answer.isspace()
    if is_blank and (refusal := _refusal(message)):
        return "refused", "refusal", shorten(refusal)
    if finish in _CUT_BY_LIMIT:
        return "truncated", None, ""
    if not is_blank:
        return "ok", None, ""
    return "empty", "no_answer" if reasoning or message.get("tool_calls") else "no_text", ""


def _refusal(message: Mapping[str, Any]) -> str:
    refusal = message.get("refusal")
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    told = [refusal, *(part.get("refusal") for part in parts if isinstance(part, dict))]
    return next((text for text in told if isinstance(text, str) and text), "")


def _read_content(value: object) -> tuple[str, str | None, ReasoningForm]:
    """Text, thinking and the thinking's form, of a message's content: text, null, or a list of parts."""
    if isinstance(value, str):
        return _clean(value) or "", None, "none"
    texts: list[str] = []
    thoughts: list[str] = []
    form: ReasoningForm = "none"
    for part in value if isinstance(value, list) else []:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type")
            if not (isinstance(kind, str) and kind in _NOT_TEXT):
                texts.append(_text_of(part.get("text")))
                continue
            summary = _text_of(part.get("summary"))
            thought = _text_of(part.get("thinking")) or _text_of(part.get("reasoning")) or summary
            thoughts.append(thought or (_text_of(part.get("text")) if kind in ("thinking", "reasoning") else ""))
            form = "summary" if summary and thought == summary else form if form != "none" else "hidden"
    return _clean("".join(texts)) or "", "".join(thoughts) or None, form


def _text_of(value: object) -> str:
    """A text, or the `text` of each part of a list, one after the other."""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else []
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _read_reasoning(
    message: Mapping[str, Any], thinking: str | None, thinking_form: ReasoningForm
) -> tuple[str | None, ReasoningForm]:
    """Reasoning that came outside the text, and its form: the first of its names that holds some."""
    listed = message.get("reasoning_details")
    details = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) and listed else []
    summarised = thinking_form == "summary" or any(part.get("type") == "reasoning.summary" for part in details)
    for name in ("reasoning_content", "reasoning"):
        told = _told(message.get(name))
        if told:
            # A summary is somebody else's words about the reasoning, and may stand in the same field as the real thing.
            return told, "summary" if summarised else "full"
    if not details and thinking is None:
        return None, thinking_form
    texts = [thinking, *("\n\n".join(filter(None, (_text_of(d.get(n)) for d in details))) for n in ("text", "summary"))]
    for text in texts:
        told = _told(text)
        if told:
            return told, "summary" if summarised else "full"
    sealed = any(d.get("type") == "reasoning.encrypted" or d.get("data") or d.get("signature") for d in details)
    return None, "hidden" if sealed or thinking_form == "hidden" else "none"


def _told(value: object) -> str | None:
    return (_clean(value) or "").strip() or None if isinstance(value, str) and value else None


def _clean(value: object) -> str | None:
    return well_formed(value) if isinstance(value, str) else None
