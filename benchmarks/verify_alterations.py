"""A data set signed row by row, and everything that somebody might do to a row of it.

What `benchmarks.verify_receipts` and the tests of `stillroom verify` have in common. The signatures are made by an
owner in this process, and the reply of each row is a whole chat completion that is read as any other.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillroom.base.permit import PERMIT_HEADER
from stillroom.check.manifest import write_manifest
from stillroom.check.published import write_rejected, write_split
from stillroom.testing import Owner
from stillroom.testing.call import Call
from stillroom.text.think import CLOSE, OPEN, join_think

Row = dict[str, Any]

MODEL = "teacher"
_TEXT = "so then the of we have to find how many are left when each box holds seven more and that is 31 apples"
_WORDS = tuple(_TEXT.split())
_TOOLS = json.dumps([{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}])


@dataclass
class Maker:
    """Makes rows and receipts. `permits` go into the data set's manifest."""

    owner: Owner = field(default_factory=lambda: Owner("owner"))
    words: int = 250
    """Of a row's reasoning."""
    permits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.permit = self.owner.permit([MODEL], jti="the-permit")
        self.permits.append(self.permit)
        self.stranger = Owner("a stranger", 1)

    def row(self, number: int, permit: str | None = None, **claims: Any) -> Row:
        """A row as the check publishes it. Every fourth has tool calls, every fifth earlier turns."""
        draw = random.Random(number)
        asked = [{"role": "user", "content": f"Question {number}: {' '.join(draw.choices(_WORDS, k=12))}?"}]
        if number % 5 == 4:
            earlier = {"role": "user", "content": f"Before {number}: {' '.join(draw.choices(_WORDS, k=6))}."}
            asked = [earlier, {"role": "assistant", "content": f"Noted, {number}."}, *asked]
        calls = [_call(number)] if number % 4 == 3 else None
        reasoning = None if number % 7 == 6 else " ".join(draw.choices(_WORDS, k=self.words)) + f" ({number})"
        return self.signed(number, asked, reasoning, f"The answer is {number}.", calls, permit=permit, **claims)

    def signed(
        self,
        number: int,
        asked: Sequence[Mapping[str, Any]],
        reasoning: str | None,
        answer: str,
        calls: list[Row] | None = None,
        *,
        system: str | None = None,
        owner: Owner | None = None,
        permit: str | None = None,
        without_permit: bool = False,
        model: str = MODEL,
        **claims: Any,
    ) -> Row:
        """`system`: what the teacher read before, and the row does not hold."""
        sent = [*([{"role": "system", "content": system}] if system else []), *asked]
        message: Row = {"role": "assistant", "content": answer, "reasoning_content": reasoning, "tool_calls": calls}
        usage = {"prompt_tokens": 20, "completion_tokens": 300}
        reply = {"model": model, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        headers = {} if without_permit else {PERMIT_HEADER: permit or self.permit}
        call = Call({"model": model, "messages": sent, "temperature": 0.7}, str(asked[-1]["content"]), headers)
        said: Row = {"role": "assistant", "content": join_think(reasoning, answer)} | (
            {} if calls is None else {"tool_calls": calls}
        )
        return {
            "messages": [*map(dict, asked), said],
            "question_id": f"q{number}",
            "source": "made up",
            "licence": None,
            "family": None,
            "kind": "number",
            "expected": str(number),
            "verdict": "right",
            "judged_by": "verifier",
            "tokens": 300,
            "teacher": model,
            "reply_key": f"sha256:{number:064x}",
            "receipt": (owner or self.owner).receipt(call, reply, **claims),
            "pass_rate": 1.0,
            "terms": None,
            "tools": None if calls is None else _TOOLS,
        }


def write_data_set(folder: Path, rows: Iterable[Row], permits: Sequence[str]) -> None:
    """The folder that `stillroom check` writes, as far as verification looks at it."""
    folder.mkdir(parents=True)
    write_split(folder, "train", rows, with_tools=True)
    write_rejected(folder, [], with_tools=False)
    finish_data_set(folder, permits)


def finish_data_set(folder: Path, permits: Sequence[str]) -> None:
    """Its manifest, as whoever altered the data set would also write it anew."""
    written = [{"jws": permit, "claims": {}} for permit in permits]
    write_manifest(folder, name="made up", recipe="sha256:0", inputs={}, created_at=0, permits=written)


Alteration = Callable[[Maker, int], list[Row]]
"""Rows in the place of row `number`: one, or two where it takes two. The last is the bad one."""


def _said(row: Row) -> Row:
    said: Row = row["messages"][-1]
    return said


def _missing(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number) | {"receipt": None if number % 2 else ""}]


def _user(maker: Maker, number: int) -> list[Row]:
    row = maker.row(number)
    asked = row["messages"][-2]
    asked["content"] = asked["content"].replace("?", " ?") if number % 2 else asked["content"].replace("Q", "q", 1)
    return [row]


def _earlier(maker: Maker, number: int) -> list[Row]:
    row = maker.row(5 * number + 4)
    row["messages"][number % 2]["content"] += "!"
    return [row]


def _earlier_dropped(maker: Maker, number: int) -> list[Row]:
    """What an assistant had said before, and what had been said to it: another conversation."""
    row = maker.row(5 * number + 4)
    del row["messages"][1]
    return [row]


def _reasoning(maker: Maker, number: int) -> list[Row]:
    row = maker.row(7 * number)
    said = _said(row)
    head, middle, tail = said["content"].partition(CLOSE)
    changed = [head.replace(" ", "  ", 1), f"{head.rstrip()} really\n", head.replace("(", "[")][number % 3]
    said["content"] = changed + middle + tail
    return [row]


def _reasoning_dropped(maker: Maker, number: int) -> list[Row]:
    row = maker.row(7 * number)
    _said(row)["content"] = f"The answer is {7 * number}."
    return [row]


def _reasoning_added(maker: Maker, number: int) -> list[Row]:
    row = maker.row(7 * number + 6)
    _said(row)["content"] = join_think("It is plain to see.", _said(row)["content"])
    return [row]


def _answer(maker: Maker, number: int) -> list[Row]:
    row = maker.row(number)
    said = _said(row)
    before, _, _ = said["content"].rpartition("The answer is ")
    said["content"] = before + ["The answer is 5.5.", "The answer was nothing.", ""][number % 3]
    return [row]


def _tags(maker: Maker, number: int) -> list[Row]:
    """The think block made into text: what is trained on is another answer."""
    row = maker.row(7 * number)
    said = _said(row)
    said["content"] = said["content"].replace(OPEN, "<thought>").replace(CLOSE, "</thought>")
    return [row]


def _calls(maker: Maker, number: int) -> list[Row]:
    row = maker.row(4 * number + 3)
    function = _said(row)["tool_calls"][0]["function"]
    function["arguments" if number % 2 else "name"] = '{"a": 0}' if number % 2 else "subtract"
    return [row]


def _calls_dropped(maker: Maker, number: int) -> list[Row]:
    row = maker.row(4 * number + 3)
    del _said(row)["tool_calls"]
    return [row]


def _calls_added(maker: Maker, number: int) -> list[Row]:
    row = maker.row(4 * number)
    _said(row)["tool_calls"] = [_call(number)]
    return [row]


def _teacher(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number) | {"teacher": "another teacher"}]


def _signature(maker: Maker, number: int) -> list[Row]:
    row = maker.row(number)
    token, _, salt = row["receipt"].partition("~")
    head, claims, signature = token.split(".")
    at = number % 60
    changed = signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]
    return [row | {"receipt": f"{head}.{claims}.{changed}~{salt}"}]


def _claims(maker: Maker, number: int) -> list[Row]:
    """Claims written anew under the old signature: as if the call had been made under the permit."""
    row = maker.row(number, permit=maker.owner.permit([MODEL], jti="a-permit-that-is-not-here"))
    token, _, salt = row["receipt"].partition("~")
    head, claims, signature = token.split(".")
    told = base64.urlsafe_b64decode(claims + "==").replace(b"a-permit-that-is-not-here", b"the-permit")
    forged = base64.urlsafe_b64encode(told).rstrip(b"=").decode()
    return [row | {"receipt": f"{head}.{forged}.{signature}~{salt}"}]


def _salt(maker: Maker, number: int) -> list[Row]:
    row, other = maker.row(number), maker.row(number + 1)
    return [row | {"receipt": row["receipt"].partition("~")[0] + "~" + other["receipt"].partition("~")[2]}]


def _cut(maker: Maker, number: int) -> list[Row]:
    row = maker.row(number)
    return [row | {"receipt": row["receipt"][: 10 + 7 * (number % 50)]}]


def _foreign_key(maker: Maker, number: int) -> list[Row]:
    asked = [{"role": "user", "content": f"A stranger's question {number}?"}]
    permit = maker.stranger.permit([MODEL], jti="the-permit", iss="owner")
    return [maker.signed(number, asked, "hm", "yes", owner=maker.stranger, permit=permit, iss="owner")]


def _foreign_account(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number, sub=f"{number:032x}")]


def _other_reply(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number) | {"receipt": maker.row(number + 1)["receipt"]}]


def _twice(maker: Maker, number: int) -> list[Row]:
    row = maker.row(number)
    return [row, dict(row)]


def _no_permit(maker: Maker, number: int) -> list[Row]:
    return [maker.signed(number, [{"role": "user", "content": f"{number}?"}], "hm", "yes", without_permit=True)]


def _other_permit(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number, permit=maker.owner.permit([MODEL], jti="a-permit-that-is-not-here"))]


def _other_model(maker: Maker, number: int) -> list[Row]:
    return [maker.signed(number, [{"role": "user", "content": f"{number}?"}], "hm", "yes", model="another-model")]


def _too_early(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number, at_us=1_000_000_000_000_000 + number)]


def _too_late(maker: Maker, number: int) -> list[Row]:
    return [maker.row(number, at_us=4_000_000_000_000_000 + number)]


ALTERATIONS: dict[str, tuple[Alteration, frozenset[str]]] = {
    "receipt taken away": (_missing, frozenset({"missing"})),
    "receipt cut short": (_cut, frozenset({"malformed"})),
    "question changed": (_user, frozenset({"altered_user"})),
    "earlier turn changed": (_earlier, frozenset({"altered_turn"})),
    "earlier turn dropped": (_earlier_dropped, frozenset({"altered_turn"})),
    "reasoning changed": (_reasoning, frozenset({"altered_reasoning"})),
    "reasoning dropped": (_reasoning_dropped, frozenset({"altered_reasoning"})),
    "reasoning added": (_reasoning_added, frozenset({"altered_reasoning"})),
    "answer changed": (_answer, frozenset({"altered_answer"})),
    "think tags changed": (_tags, frozenset({"altered_answer"})),
    "tool calls changed": (_calls, frozenset({"altered_tool_calls"})),
    "tool calls dropped": (_calls_dropped, frozenset({"altered_tool_calls"})),
    "tool calls added": (_calls_added, frozenset({"altered_tool_calls"})),
    "teacher's name changed": (_teacher, frozenset({"altered_teacher"})),
    "signature changed": (_signature, frozenset({"broken_signature"})),
    "claims changed": (_claims, frozenset({"broken_signature"})),
    "another receipt's salt": (_salt, frozenset({"other_reply"})),
    "signed by somebody else": (_foreign_key, frozenset({"foreign_key"})),
    "another account's": (_foreign_account, frozenset({"foreign_account"})),
    "another row's receipt": (_other_reply, frozenset({"other_reply"})),
    "row there twice": (_twice, frozenset({"used_twice"})),
    "asked without a permit": (_no_permit, frozenset({"no_permit"})),
    "asked under another permit": (_other_permit, frozenset({"other_permit"})),
    "another model's": (_other_model, frozenset({"permit_model"})),
    "before the permit": (_too_early, frozenset({"permit_time"})),
    "after the permit": (_too_late, frozenset({"permit_time"})),
}
"""Each with the reasons that are right for it."""


def _call(number: int) -> Row:
    return {"id": f"call-{number}", "type": "function", "function": {"name": "add", "arguments": f'{{"a": {number}}}'}}
