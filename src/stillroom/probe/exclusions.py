"""From the bodies of a call to its two replies as text, or to the one reason why they are not compared.

Whatever is decided here is decided of both replies alike: if the two changed places, the reason, or the two texts with
their places changed, would be the same. Which of the two was served is not known here, with one exception: of a call
whose client hung up, it is known which one was cut, and the other is cut the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from stillroom.base.records import Route
from stillroom.client.reply import ParsedReply
from stillroom.client.route_reply import read_route_reply
from stillroom.probe.measures.tokens import first_tokens, tokens
from stillroom.probe.request_messages import Messages, NoQuestion, messages_of
from stillroom.text.think import OPEN, join_think
from stillroom.text.well_formed import well_formed

MOST_REPLY_BYTES = 32 << 20
"""Of a longer body, no text was kept when it was served."""

NoReply = Literal["too_long", "failed", "refused", "tool_calls", "empty"]
Unusable = Literal[NoQuestion, NoReply, "identical"]
"""Why a call's replies are not compared, whatever other calls there are."""
Reason = Literal[
    Unusable, "asked_again", "quotes_a_reply", "record_gone", "not_in_log", "log_differs", "damaged", "not_needed"
]

IN_WORDS: Mapping[Reason, str] = {
    "unreadable_request": "the request cannot be read",
    "assistant_turn": "the request holds earlier replies of a model",
    "not_text": "the request holds, or asks for, something else than a text",
    "too_long": "one of the two is too long to be read",
    "failed": "one of the two broke off, or is no reply",
    "refused": "one of the two is a refusal",
    "tool_calls": "one of the two calls tools",
    "empty": "one of the two has no text, or the client hung up with its first word",
    "identical": "the two are the same, word for word",
    "asked_again": "the account had asked the same before",
    "quotes_a_reply": "the request quotes a reply to an earlier one",
    "record_gone": "the log knows of it; its record has expired, or was deleted",
    "not_in_log": "its record is there, but no call of it in the sealed log",
    "log_differs": "its record is not the one that the log commits to",
    "damaged": "its record cannot be opened",
    "not_needed": "more pairs of its account were found than were asked for",
}
_FIRST_OF: tuple[NoReply, ...] = get_args(NoReply)
"""Where the two have different reasons, the one that comes first here is given."""


class Siblings(NamedTuple):
    messages: Messages
    first: str
    second: str


def read_siblings(
    route: Route, request: bytes, first: bytes, second: bytes, cut: Literal[0, 1] | None = None
) -> Siblings | Unusable:
    """The texts of two replies to one request, in the order given, from the bodies as they came. Never raises.

    `cut`: which of the two, 0 or 1, ends where its client hung up. The other then ends after as many tokens, as the
    measures of likeness count them, and the last one that was heard is taken off both.
    """
    messages = messages_of(route, request)
    if isinstance(messages, str):
        return messages
    texts = [_read(route, body, is_cut=cut == place) for place, body in enumerate((first, second))]
    reasons = [text.reason for text in texts if isinstance(text, _NoText)]
    if reasons:
        return min(reasons, key=_FIRST_OF.index)
    one, other = (str(text) for text in texts)
    return siblings_of_texts(messages, one, other, cut)


def siblings_of_texts(
    messages: Messages, first: str, second: str, cut: Literal[0, 1] | None = None
) -> Siblings | Literal["empty", "identical"]:
    """Of replies that are there as text already."""
    first, second = well_formed(first).strip(), well_formed(second).strip()
    if cut is not None:
        # Of the last one, nobody knows whether more of it would have come.
        heard = len(tokens(first if cut == 0 else second)) - 1
        first, second = first_tokens(first, heard), first_tokens(second, heard)
    if not first or not second:
        return "empty"
    return "identical" if first == second else Siblings(messages, first, second)


class _NoText(NamedTuple):
    reason: NoReply


def _read(route: Route, body: bytes, *, is_cut: bool) -> str | _NoText:
    if len(body) > MOST_REPLY_BYTES:
        return _NoText("too_long")
    reply = read_route_reply(route, body)[0]
    if reply.status == "refused":
        return _NoText("refused")
    if reply.status == "failed" and not (is_cut and reply.error_kind == "cut_stream"):
        return _NoText("failed")
    if reply.tool_calls:
        return _NoText("tool_calls")
    return reply_text(reply) or _NoText("empty")


def reply_text(reply: ParsedReply) -> str:
    """A reply as one text, its reasoning in a `<think>` block before the answer; unclosed where it came to none."""
    answer = well_formed(reply.answer).strip()
    reasoning = None if reply.reasoning is None else well_formed(reply.reasoning).strip()
    if not reasoning:
        return answer
    return join_think(reasoning, answer) if answer else f"{OPEN}\n{reasoning}"
