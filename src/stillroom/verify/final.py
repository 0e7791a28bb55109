"""What a reply says in the end, before anybody asks whether it is right.

Thinking is left out. Of what is marked (see `markers`), boxes, tags and hashes outrank phrases. What comes before a
correction ("Wait, ...", "Actually, ...", "that is wrong") is taken back by what comes after it. Several answers that
are marked and not taken back are all returned: they must agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from stillroom.text.think import split_think
from stillroom.verify.around_mark import doubt_around
from stillroom.verify.doubts import SUPPOSED, SUPPOSES
from stillroom.verify.markers import Marked, is_cut, marked_answers

_CORRECTION = re.compile(
    r"""
    (?: ^ | (?<=[.!?;:,)}$*>\n]) ) \s* (?: (?:but|oh|ah|so|or|hmm+|no)\b [,.]? \s+ ){0,3}
    (?: wait\b | actually\b | hmm+\b | oops\b | sorry\b | correction\b | hold[ ]on\b | scratch[ ]that | make[ ]that\b
      | (?:or[ ])?rather\b | i[ ]mean\b | (?<=\s)(?-i:No)[,:]\s
      | (?<=\s)no,[ ](?=(?:it|the|that|this|i|actually|wait|\$?-?\d|\\)) | let[ ]me[ ](?:correct|fix|revise)
      | i[ ](?:made[ ](?:a|an)[ ](?:\w+[ ])?(?:mistake|error|slip)\b|forgot|misread|miscounted|miscalculated)
      | i[ ](?:was[ ]wrong|meant) | \(?(?:just[ ])?kidding\b | \(?edit[ ]?:
    )
    | (?: ^ | (?<=[.!?;)}$*>\n]) ) \s* (?: (?:but|oh|ah|so|no)\b [,.]? \s+ ){0,2}
    (?: on[ ]second[ ]thought | on[ ]reflection | however\b | in[ ]fact\b | instead\b
      | (?:it|that|this)[ ]should(?:[ ]actually)?[ ]be\b
      | (?:that|this)(?:[ ]is|['’]s)[ ](?:wrong|incorrect|not[ ]right|a[ ]mistake)
      | the[ ](?:correct|right|true|actual|real)[ ]
        (?:answer|value|result|number|one|sum|total|solution|choice|option|letter)\b
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Before "answer": whose it is, if not the reply's own.
_SOMEBODYS = re.compile(
    r"(?:\w['’]s?|\b(?:his|her|their|your|first|initial|previous|earlier|old|original|other|alternative))\s*$",
    re.IGNORECASE,
)
_GIVES_UP = re.compile(
    r"\b(?:i (?:do not|don['’]t|cannot|can['’]t|am unable to|could not|couldn['’]t)"
    r" (?:know|say|tell|answer|solve|determine|find)|no idea|i give up)\b",
    re.IGNORECASE,
)
# What nobody who reads the reply as it is shown takes for a part of it.
_STRUCK_OUT = re.compile(r"~~[^~\n]+~~|<!--.{0,2000}?-->|<(del|s|strike)>.{0,2000}?</\1>", re.IGNORECASE | re.DOTALL)
_EMPTY_BOX = re.compile(r"\\boxed\s*\{\s*\}")
_NOISE = re.compile(r"([()\[\]{}])\1{39}")

LONGEST = 20_000
"""Characters of an answer that are looked at, from its end: a page or ten, and a bound on the time that it takes."""

_MOST_CORRECTIONS = 20


@dataclass(frozen=True, slots=True)
class Final:
    """What the reply says in the end.

    `texts` are the answers that stand, in order: the marked ones, or the one text in which nothing is marked (`marked`
    is False then). Empty where no answer was given. `boxed`: they stand in boxes, tags or after hashes, not after a
    phrase; `outranked` is what phrases say then. `doubt` is a reason why none may count, "" where there is none.
    """

    texts: tuple[str, ...]
    marked: bool
    doubt: str = ""
    boxed: bool = False
    outranked: tuple[str, ...] = ()


def final_answer(reply: str) -> Final:
    """What `reply`, an answer with or without its thinking, says in the end."""
    text = split_think(reply).answer.strip()[-LONGEST:]
    text = _STRUCK_OUT.sub(" ", _EMPTY_BOX.sub(" ", text)).strip()
    if not text:
        return Final((), False)
    doubt = _doubt(text)
    for _ in range(_MOST_CORRECTIONS):
        every_mark = marked_answers(text)
        marks = [mark for mark in every_mark if mark.mark != "phrase" or not _is_supposed(text, mark)]
        strong = [mark for mark in marks if mark.mark != "phrase"]
        correction = _last_correction(text, strong[-1].end if strong else 0)
        if correction is None:
            standing = _standing(text, marks, strong)
            return replace(standing, doubt=doubt or standing.doubt or (SUPPOSED if every_mark and not marks else ""))
        before, text = text, text[correction:].lstrip(" .,!:")
        if not text:
            return Final((before,), False, doubt or "the answer was taken back")
    return Final((text,), False, "it goes back and forth")


def _standing(text: str, marks: list[Marked], strong: list[Marked]) -> Final:
    """What a text says in which nothing is taken back after its last mark."""
    chosen = strong or marks
    if not chosen:
        return Final((text,), False)
    outranked = tuple(mark.text for mark in marks if strong and mark.mark == "phrase")
    kept = _not_taken_back(text, chosen)
    doubts = (doubt_around(text, mark.start, mark.end) for mark in kept if mark.mark in ("boxed", "tag"))
    doubt = next(filter(None, doubts), "")
    return Final(tuple(mark.text for mark in kept), True, doubt, bool(strong), outranked)


def _is_supposed(text: str, mark: Marked) -> bool:
    """Whether the sentence before "the answer is" makes it no answer of its own: "if", "the wrong"."""
    start = max(text.rfind(end, 0, mark.start) for end in (". ", "\n", "! ", "? "))
    before = text[max(start, mark.start - 200, 0) : mark.start]
    return bool(SUPPOSES.search(before) or _SOMEBODYS.search(before))


def gives_up(text: str) -> bool:
    """Whether it says that it does not know."""
    return bool(_GIVES_UP.search(text))


def _doubt(text: str) -> str:
    if is_cut(text):
        return "cut off inside the answer"
    if _NOISE.search(text):
        return "noise"
    return "it gives up" if gives_up(text) and any(char.isdigit() for char in text) else ""


def _last_correction(text: str, start: int) -> int | None:
    """Where what follows the last correction begins, for corrections from `start` on."""
    ends = [match.end() for match in _CORRECTION.finditer(text) if match.start() >= start]
    return ends[-1] if ends else None


def _not_taken_back(text: str, marks: list[Marked]) -> list[Marked]:
    """The marks after the last correction between two of them."""
    for index in range(len(marks) - 1, 0, -1):
        if _CORRECTION.search(text, marks[index - 1].end, marks[index].start):
            return marks[index:]
    return marks
