r"""Kind `choice`: the letter of a multiple-choice question, or the letters where the reference has several ("A, C").

A letter is read, in this order: where an answer is marked ("answer: B", "the answer is (B)", `\boxed{\text{B}}`); when
the whole answer is a letter or opens with one ("B", "(B)", "B. Paris"); and where one stands as a choice in the text
("(B)", "option B", "B)"). Several different letters, or a denied one ("not B"), are unsure.
"""

from __future__ import annotations

import re

from stillroom.verify.doubts import SUPPOSES, is_denied
from stillroom.verify.final import final_answer
from stillroom.verify.judgement import Judgement
from stillroom.verify.scripts import plain_signs

# Before a letter: brackets, emphasis, LaTeX's \text{, and the words for "choice".
_BEFORE = (
    r"(?:[\s*_`$(\[\"'“‘:]|\\text(?:bf)?\s*\{|\\mathrm\s*\{|\\boxed\s*\{|\b(?:option|choice|letter|answer|but)\b)*"
)
# After a letter: the end, or what does not go on as a word. "a dog", "I think", "B.C." and "B+" are no letters.
_NO_NAME = r"(?!['’]\w|\.[A-Za-z]|[+-](?:\W|$))"
_AFTER = rf"(?=\s*(?:$|[)\].,:;*_`}}$\"'”’\n]|(?:because|since|as|which|is|or|and|with)\b|[-–—/&])){_NO_NAME}"
_MARKED = re.compile(rf"{_BEFORE}(?P<letter>[A-Za-z])(?:{_AFTER}|(?<=[B-HJ-Z])\b{_NO_NAME})")
_HEDGED = re.compile(
    r"[\s)\]*_.}]*(?:(?:[,/&+|;]|\b(?:or|and|plus|vs\.?|then)\b|,\s*(?:or|and)\b)[\s(\[*_]*|[(\[])(?:option\s+|choice\s+)?"
    r"(?P<letter>[A-Z]\b|[a-z](?=[\s.)\]*]*$))(?!['’]\w)"
)
_OPENING = re.compile(r"[\s*_`$(\[\"'“‘]*(?P<letter>[A-Za-z])(?:[\s*_`$\"'”’]*$|[\s*_`]*[)\].:;](?!\w)|\s*\n)")
# A letter of the alphabet before it makes it part of a word. Chinese and Japanese set no blank before a letter.
_IN_A_WORD = r"(?<![^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])(?<!['’(\[])"
_STANDING = re.compile(
    rf"""
      [(\[](?P<bracketed>[A-Z])[)\]]
    | \b(?:option|choice|letter)\s+[(\[*]*(?P<named>[A-Za-z])\b
    | {_IN_A_WORD}(?P<alone>[B-HJ-Z])(?![A-Za-z0-9_'’]){_NO_NAME}
    | {_IN_A_WORD}(?P<listed>[AI])(?:\) | (?=\s*(?:,|/|&|\bor\b|\band\b)\s*[(\[]?[A-Z]\b(?!['’]\w)))
    | \b(?:so|thus|hence|therefore|is|choose|pick|select)\s+(?P<said>[AI])(?=[\s.)\]*]*$)
    """,
    re.VERBOSE,
)
_DENIAL = r"\b(?:not|isn['’]t|cannot be|can['’]t be|neither|nor|rather than|instead of|over|than)"
_DENIED_LETTER = re.compile(rf"{_DENIAL}\s+(?:option\s+|choice\s+)?[(\[*]*[A-Z](?![A-Za-z'’])[)\]*]*")
_DENIED = re.compile(
    r"\b(?:not|isn't|isn’t|cannot|can't|can’t|neither|nor|except|eliminate[sd]?|incorrect|wrong|rather than|instead of"
    r"|(?:anything|all|everything) but|too \w+|false|untrue|invalid|fails?|impossible|unlikely|ruled? out|excluded?)\b",
    re.IGNORECASE,
)
_OPENING_LATER = re.compile(
    r"^[\s*(]*([A-Z])(?:[).:]\s|[).:\s*]*$)|\bbut\b[^.\n]{0,40}?\b([B-HJ-Z])\b", re.MULTILINE | re.IGNORECASE
)
_ASKS = re.compile(r"\?\s*$")
_UNDECIDED = re.compile(
    r"\beither\b|\bif\b.*\botherwise\b|^\W*if\b|\bor (?:none|neither|nothing|another)\b", re.IGNORECASE | re.DOTALL
)
# What may stand before a letter that stands alone. After any other word it is part of a name: vitamin B.
_LED_BY = re.compile(
    r"(?:^|[.:;,!?()\[\]\n\"'“‘*$]|[\u3040-\u30ff\u4e00-\u9fff]"
    r"|\b(?:is|are|be|that|choose|chose|choosing|pick|picked|select|selected|so|thus|hence|therefore|only|say|think|believe"
    r"|with|for|to|or|and|than|over|eliminate|but|then|because|since|as|while|probably|likely|surely|definitely|clearly))"
    r"[\s*(\"'“‘]*$",
    re.IGNORECASE,
)
# Directly after a letter: it is chosen by somebody else, under a condition, or not at all.
_TAKEN_BACK = re.compile(r"[\s)\]*.]*\(?\s*(?:wrong|incorrect|only if|if|unless|no\b)", re.IGNORECASE)
_SOMEBODYS = re.compile(r"\b(?:students?|people|he|she|they|someone|could be|might be|may be)\b", re.IGNORECASE)


def verify_choice(reference: str, answer: str) -> Judgement:
    expected = _letters_of(reference)
    if not expected:
        return Judgement("unsure", "the reference is not a letter")
    final = final_answer(answer)
    if not final.texts:
        return Judgement("wrong", "no answer was given")
    letters = letters_chosen(answer)
    shown = ", ".join(letters) or None
    if final.doubt:
        return Judgement("unsure", final.doubt, shown)
    if not letters:
        return Judgement("unsure", "no letter was found")
    if len(expected) > 1:
        same = set(letters) == set(expected)
        return Judgement("right" if same else "wrong", "the same letters" if same else "other letters", shown)
    if len(letters) > 1:
        return Judgement("unsure", "several different letters", shown)
    right = letters == expected
    return Judgement("right" if right else "wrong", "the same letter" if right else "another letter", shown)


def letters_chosen(answer: str) -> list[str]:
    """The different letters that the answer may have chosen, in capitals: one where it is clear, none where none."""
    final = final_answer(plain_signs(answer))
    texts = [_DENIED_LETTER.sub(" ", text).lstrip(" ,;") for text in final.texts]
    if final.marked:
        texts += [_DENIED_LETTER.sub(" ", text).lstrip(" ,;") for text in final.outranked]
        matches = [(match, text) for text in texts if (match := _MARKED.match(text))]
        if any(_TAKEN_BACK.match(text, match.end()) for match, text in matches):
            return []
        marked = [_with_hedges(match, text) for match, text in matches]
        if marked:
            return _different([letter for letters in marked for letter in letters])
    text = "\n".join(texts)
    match = _OPENING.match(text)
    opening = [] if match is None or is_denied(text, match.start(), match.end()) else _with_hedges(match, text)
    if opening:
        later = [letter for match in _OPENING_LATER.finditer(text) for letter in match.groups() if letter]
        return _different([*opening, *later])
    if any(found.search(text) for found in (_DENIED, _UNDECIDED, SUPPOSES, _SOMEBODYS, _ASKS)):
        return []
    found = list(_STANDING.finditer(text))
    standing = [match for match in found if not _is_name(match, text)]
    if standing and standing[-1] is not found[-1]:
        return []  # "B, no C"
    return _different([letter for match in standing for letter in _with_hedges(match, text)])


def _letters_of(reference: str) -> list[str]:
    several = re.fullmatch(r"[\s({\[]*[A-Z](?:\s*(?:,|and|&)\s*[A-Z])+[\s)}\]]*", reference.strip())
    if several:
        return _different(re.findall(r"\b[A-Z]\b", reference))
    one = _OPENING.match(reference.strip())
    return [] if one is None else [one["letter"].upper()]


def _is_name(match: re.Match[str], text: str) -> bool:
    """Whether a letter that stands alone belongs to a name: vitamin B, Plan B."""
    return match["alone"] is not None and not _LED_BY.search(text[max(0, match.start() - 30) : match.start()])


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
