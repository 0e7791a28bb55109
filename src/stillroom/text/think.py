"""The `<think>` block: reasoning and answer told apart in the text of one reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OPEN, CLOSE = "<think>", "</think>"

Block = Literal["none", "well_formed", "unclosed", "not_well_formed"]


@dataclass(frozen=True, slots=True)
class ThinkSplit:
    reasoning: str | None
    answer: str
    block: Block


def split_think(text: str, *, opened_by_prompt: bool = False) -> ThinkSplit:
    """Split a leading `<think>` block from the answer that follows it.

    A block that never closes is all reasoning and no answer (`unclosed`). Where the generation prompt wrote `<think>`
    itself, the reply holds only the closing tag: pass `opened_by_prompt=True`, or leave it to be seen from a closing
    tag without an opening one. A second tag of either sort makes the block `not_well_formed`; it is still split at the
    first closing tag, and the rest is left in the answer for a person to see.
    """
    stripped = text.lstrip()
    opened = stripped.startswith(OPEN)
    if not opened and not opened_by_prompt and (CLOSE not in text or OPEN in text[: text.find(CLOSE)]):
        # No block at the start. A tag in the middle is somebody writing about tags, or a broken reply: not a split.
        return ThinkSplit(None, text, "not_well_formed" if OPEN in text or CLOSE in text else "none")
    body = stripped[len(OPEN) :] if opened else text
    reasoning, close, answer = body.partition(CLOSE)
    if not close:
        return ThinkSplit(reasoning.strip(), "", "unclosed")
    tidy = OPEN not in reasoning and OPEN not in answer and CLOSE not in answer
    return ThinkSplit(reasoning.strip(), answer.strip(), "well_formed" if tidy else "not_well_formed")


def reasoning_and_answer(reasoning: str | None, text: str) -> tuple[str | None, str]:
    """(reasoning, answer) of a reply, without white space around them; `reasoning` is what stood beside the text.

    Reasoning that stands in a think block of the text is taken out of it, also where the block's first tag is missing
    since a prompt had written it. None where there is none.
    """
    if reasoning is None and CLOSE in text:
        split = split_think(text)
        if split.block == "well_formed":
            reasoning, text = split.reasoning, split.answer
    return (reasoning or "").strip() or None, text.strip()


def join_think(reasoning: str | None, answer: str) -> str:
    """The text of a reply with its reasoning in one think block: what a student is trained to write."""
    if reasoning is None:
        return answer
    return f"{OPEN}\n{reasoning}\n{CLOSE}\n\n{answer}"
