r"""Kind `choice`: the letter of a multiple-choice question.

A letter is read, in this order: where an answer is marked ("answer: B", "the answer is (B)", `\boxed{\text{B}}`); when
the whole answer is a letter or opens with one ("B", "(B)", "B. Paris"); and where one stands as a choice in the text
("(B)", "option B", "B)"). Several different letters, or a denied one ("not B"), are unsure.
"""

from __future__ import annotations

import re

from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import marked_answers

# Before a letter: brackets, emphasis, LaTeX's \text{, and the words for "choice".
_BEFORE = r"(?:[\s*_`$(\[\"'“‘:]|\\text(?:bf)?\s*\{|\\mathrm\s*\{|\\boxed\s*\{|\b(?:option|choice|letter|answer)\b)*"
# After a letter: the end, or what does not go on as a word. "a dog" and "I think" are no letters.
_AFTER = r"(?=\s*(?:$|[)\].,:;*_`}$\"'”’\n]|(?:because|since|as|which|is|or|and|with)\b|[-–—/&]))(?!['’]\w)"
_MARKED = re.compile(rf"{_BEFORE}(?P<letter>[A-Za-z])(?:{_AFTER}|(?<=[B-HJ-Z])\b(?!['’]\w))")
_HEDGED = re.compile(
    r"[\s)\]*_.}]*(?:,|/|&|\bor\b|\band\b)[\s(\[*_]*(?:option\s+|choice\s+)?(?P<letter>[A-Z])\b(?!['’]\w)"
)
_OPENING = re.compile(r"[\s*_`$(\[\"'“‘]*(?P<letter>[A-Za-z])(?:[\s*_`$\"'”’]*$|[\s*_`]*[)\].:;](?!\w)|\s*\n)")
_STANDING = re.compile(
    r"""
      [(\[](?P<bracketed>[A-Z])[)\]]
    | \b(?:option|choice|letter)\s+[(\[*]*(?P<named>[A-Za-z])\b
    | (?<![\w'’(\[])(?P<alone>[B-HJ-Z])(?![\w'’])
    | (?<![\w'’(\[])(?P<listed>[AI])(?:\) | (?=\s*(?:,|/|&|\bor\b|\band\b)\s*[(\[]?[A-Z]\b(?!['’]\w)))
    """,
    re.VERBOSE,
)
_DENIED = re.compile(
    r"\b(?:not|isn't|isn’t|cannot|can't|neither|nor|except|eliminate[sd]?|incorrect|wrong|rather than|instead of)\b",
    re.IGNORECASE,
)


def verify_choice(reference: str, answer: str) -> Judgement:
    expected = _OPENING.match(reference.strip())
    if expected is None:
        return Judgement("unsure", "the reference is not a letter")
    letters = letters_chosen(answer)
    shown = ", ".join(letters) or None
    if len(letters) > 1:
        return Judgement("unsure", "several different letters", shown)
    if not letters:
        return Judgement("unsure" if answer.strip() else "wrong", "no letter was found", None)
    right = letters[0] == expected["letter"].upper()
    return Judgement("right" if right else "wrong", "the same letter" if right else "another letter", shown)


def letters_chosen(answer: str) -> list[str]:
    """The different letters that the answer may have chosen, in capitals: one where it is clear, none where none."""
    marked = [letters for one in marked_answers(answer) if (letters := _with_hedges(_MARKED.match(one.text), one.text))]
    if marked:
        return _different([letter for letters in marked for letter in letters])
    opening = _with_hedges(_OPENING.match(answer), answer)
    if opening:
        return _different(opening)
    if _DENIED.search(answer):
        return []
    return _different([letter for match in _STANDING.finditer(answer) for letter in _with_hedges(match, answer)])


def _with_hedges(match: re.Match[str] | None, text: str) -> list[str]:
    if match is None:
        return []
    letters = [next(filter(None, match.groups()))]
    position = match.end(match.lastgroup or 0)
    while hedge := _HEDGED.match(text, position):
        letters.append(hedge["letter"])
        position = hedge.end("letter")
    return letters


def _different(letters: list[str]) -> list[str]:
    return list(dict.fromkeys(letter.upper() for letter in letters))
