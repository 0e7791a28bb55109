"""One row of a data set, held against its receipt.

A receipt has digests of the texts as the teacher's server sent them. A row has them as the check left them: the white
space around a text is gone, the reasoning stands in one think block before the answer, and what the teacher read before
the question is dropped. So the reply is taken apart again, and of the prompt either all of it has to be what the row
holds, or the last turns have to be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import orjson

from stillroom.base.canonical import canonical_bytes
from stillroom.base.receipt import (
    MOST_TURNS,
    Receipt,
    ReplyDigests,
    read_receipt,
    reply_digests,
    salted_digest,
    text_digest,
)
from stillroom.base.signatures import CLOCK_LEEWAY_S, SignatureRefused
from stillroom.check.receipts.owner import Owner
from stillroom.check.receipts.reasons import Reason
from stillroom.text.think import CLOSE, OPEN, split_think

Row = Mapping[str, Any]
Prompt = Literal["whole", "last", "later"]
"""`whole`: a row holds all that its teacher read. `last`: the turns before the reply, without what stood before them;
its system message, if it has one, is not vouched for. `later`: so many turns that the first of them are not, either."""

_REFUSED: dict[str, Reason] = {
    "unknown_key": "foreign_key",
    "signature": "broken_signature",
    "time": "key_not_in_use",
}
_MOST_SPLITS = 64
"""Places at which a reply that itself writes about think blocks may be taken apart."""
_MOST_TOKENS = 2**53
_MIDDLE = f"\n{CLOSE}\n\n"


class Problem(NamedTuple):
    reason: Reason
    detail: str


class Vouched(NamedTuple):
    """A row that is what its receipt says; whether the receipt is used once only, sums over all rows have to tell."""

    receipt: str
    """Its id."""
    choice: int
    """Which of the call's choices the row is."""
    same: int
    """How many of the call's choices say just this."""
    content: bytes
    """Digest of the row's messages, 16 bytes."""
    permit: str
    at_us: int
    tokens: int
    prompt: Prompt


@dataclass(slots=True)
class _Reply:
    """What the row has of a reply, in the shape that digests are taken of."""

    reasoning: str | None
    answer: str
    tool_calls: Sequence[Mapping[str, Any]] | None


class Judge:
    """Judges rows by an owner's word. A receipt that several rows have in a row is opened once."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._opened = lru_cache(256)(self._open)

    def judge(self, row: Row) -> Problem | Vouched:
        """What is wrong with a row of the columns `messages, teacher, receipt`, or what it was vouched for."""
        wire = row["receipt"]
        if not wire:
            return Problem("missing", "it has no receipt")
        opened = self._opened(wire)
        if isinstance(opened, Problem):
            return opened
        receipt, salt = opened
        messages = row["messages"] or []
        if not messages or messages[-1]["role"] != "assistant":
            return Problem("altered_answer", "it does not end with a reply")
        *asked, said = messages
        prompt = _prompt(asked, receipt, salt)
        found = _choice(said, receipt.replies, salt)
        if isinstance(found, _Nearest):
            has_user = not (isinstance(prompt, Problem) and prompt.reason == "altered_user")
            return found.problem(has_user=has_user)
        if isinstance(prompt, Problem):
            return prompt
        if row["teacher"] != receipt.model:
            return Problem("altered_teacher", f"it names {row['teacher']} as its teacher, the receipt {receipt.model}")
        outside = self._outside(receipt)
        if outside is not None:
            return outside
        assert receipt.permit is not None
        return Vouched(
            receipt.jti,
            found,
            receipt.replies.count(receipt.replies[found]),
            hashlib.blake2b(orjson.dumps(messages, option=orjson.OPT_SORT_KEYS), digest_size=16).digest(),
            receipt.permit,
            receipt.at_us,
            min((receipt.prompt_tokens or 0) + (receipt.completion_tokens or 0), _MOST_TOKENS),
            prompt,
        )

    def _open(self, wire: str) -> tuple[Receipt, bytes] | Problem:
        try:
            return read_receipt(wire, self._owner.keys, self._owner.now)
        except SignatureRefused as error:
            return Problem(_REFUSED.get(error.reason, "malformed"), error.what)

    def _outside(self, receipt: Receipt) -> Problem | None:
        """Why the call was not made under a permit that is here, counts left aside."""
        if receipt.permit is None:
            return Problem("no_permit", "its call was made without a permit")
        permit = self._owner.permits.get(receipt.permit)
        if permit is None:
            return Problem("other_permit", f"its call was made under permit {receipt.permit}, which is not here")
        if permit.iss != receipt.iss:
            return Problem("other_permit", f"its receipt is by {receipt.iss}, its permit by {permit.iss}")
        if receipt.sub not in permit.accounts:
            return Problem("foreign_account", f"its account is none that permit {permit.jti} names")
        if receipt.model not in permit.models:
            return Problem("permit_model", f"permit {permit.jti} does not name {receipt.model}")
        at = receipt.at_us // 1_000_000
        if at < permit.nbf - CLOCK_LEEWAY_S:
            return Problem("permit_time", f"its call was made {moment(at)}, before permit {permit.jti} began")
        if at >= permit.exp + CLOCK_LEEWAY_S:
            return Problem("permit_time", f"its call was made {moment(at)}, when permit {permit.jti} had expired")
        revoked = self._owner.revoked.get(permit.jti)
        if revoked is not None:
            when = "" if revoked.at is None else f" {moment(revoked.at)}"
            return Problem("permit_revoked", f"permit {permit.jti} was revoked{when}; its call was made {moment(at)}")
        return None


def moment(seconds: int) -> str:
    try:
        return f"on {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d at %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"in second {seconds}"


def _prompt(asked: Sequence[Row], receipt: Receipt, salt: bytes) -> Prompt | Problem:
    """How much of what the teacher read the row holds, if that is what it holds."""
    sent = [_sent(message) for message in asked]
    if salted_digest(salt, "prompt", canonical_bytes(sent)) == receipt.prompt:
        return "whole"
    user = next((each["content"] for each in reversed(asked) if each["role"] == "user"), None)
    if user is None or text_digest(salt, "user", user) != receipt.user:
        return Problem("altered_user", "the user's last message is not what the receipt says")
    turns = [each for each in sent if each["role"] != "system"]
    if len(turns) == 1:
        return "last"
    known = [salted_digest(salt, "turn", canonical_bytes(turn)) for turn in turns[-MOST_TURNS:]]
    if tuple(known) != receipt.turns[-len(known) :]:
        return Problem("altered_turn", "a turn before the reply is not what the receipt says")
    return "last" if len(turns) <= MOST_TURNS else "later"


def _sent(message: Row) -> dict[str, Any]:
    calls = _calls(message)
    sent = {"role": message["role"], "content": message["content"]}
    return sent if calls is None else sent | {"tool_calls": calls}


@dataclass(slots=True)
class _Nearest:
    """Of a reply that is none of the call's: what differs from the choice that is the most like it."""

    differs: frozenset[str]

    def problem(self, *, has_user: bool) -> Problem:
        if "answer" in self.differs:
            if not has_user:
                return Problem(
                    "other_reply", "neither question nor answer is what the receipt says: it is another reply's"
                )
            return Problem("altered_answer", "the answer is not what the receipt says")
        if "reasoning" in self.differs:
            return Problem("altered_reasoning", "the reasoning is not what the receipt says")
        return Problem("altered_tool_calls", "the tool calls are not what the receipt says")


def _choice(said: Row, replies: Sequence[ReplyDigests], salt: bytes) -> int | _Nearest:
    """Which of the call's choices a row's last message is."""
    calls = _calls(said)
    nearest = _Nearest(frozenset(("reasoning", "answer", "tool_calls")))
    for reasoning, answer in _taken_apart(said["content"] or ""):
        digests = reply_digests(salt, _Reply(reasoning, answer, calls))
        for number, reply in enumerate(replies):
            differs = frozenset(name for name, value in digests.items() if value != getattr(reply, name))
            if not differs:
                return number
            if (len(differs), "answer" in differs) < (len(nearest.differs), "answer" in nearest.differs):
                nearest = _Nearest(differs)
    return nearest


def _taken_apart(content: str) -> Iterator[tuple[str | None, str]]:
    """The reasonings and answers that this may have been put together from, the likeliest first."""
    head = f"{OPEN}\n"
    if content.startswith(head):
        end = content.find(_MIDDLE, len(head))
        for _ in range(_MOST_SPLITS):
            if end < 0:
                break
            yield content[len(head) : end], content[end + len(_MIDDLE) :]
            end = content.find(_MIDDLE, end + 1)
    yield None, content
    split = split_think(content)
    yield split.reasoning, split.answer


def _calls(message: Row) -> Sequence[Mapping[str, Any]] | None:
    """A message's tool calls, which tables hold as JSON. What is no call counts as one that nobody made."""
    calls = message.get("tool_calls")
    if calls is None:
        return None
    try:
        calls = json.loads(calls) if isinstance(calls, str) else calls
        canonical_bytes(calls)
    except (ValueError, TypeError, RecursionError):  # no JSON, or what has no canonical form, such as NaN
        return [{}]
    return [each if isinstance(each, dict) else {} for each in calls] if isinstance(calls, list) else [{}]
