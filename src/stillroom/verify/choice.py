r"""Kind `choice`: the letter of a multiple-choice question, or the letters where the reference has several ("A, C").

A letter is read, in this order: where an answer is marked ("answer: B", "the answer is (B)", `\boxed{\text{B}}`); when
the whole answer is a letter or opens with one ("B", "(B)", "B. Paris"); and where one stands as a choice in the text
("(B)", "option B", "B)"). Several different letters, or a denied one ("not B"), are unsure.
"""

from __future__ import annotations

import re

from stillroom.verify.doubts import SUPPOSES
from stillroom.verify.final import final_answer
from stillroom.verify.judgement import Judgement
from stillroom.verify.scripts import plain_signs

# Before a letter: brackets, emphasis, LaTeX's \text{, and the words for "choice".
_BEFORE = (
    r"(?:[\s*_`$(\[\"'“‘:]|\\text(?:bf)?\s*\{|\\mathrm\s*\{|\\boxed\s*\{|\b(?:option|choice|letter|answer|but)\b)*"
)
# After a letter: the end, or what does not go on as a word. "a dog" and "I think" are no letters.
_AFTER = r"(?=\s*(?:$|[)\].,:;*_`}$\"'”’\n]|(?:because|since|as|which|is|or|and|with)\b|[-–—/&]))(?!['’]\w)"
_MARKED = re.compile(rf"{_BEFORE}(?P<letter>[A-Za-z])(?:{_AFTER}|(?<=[B-HJ-Z])\b(?!['’]\w))")
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
    | {_IN_A_WORD}(?P<alone>[B-HJ-Z])(?![A-Za-z0-9_'’])
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
_OPENING_LATER = re.compile(r"^[\s*(]*([A-Z])[).:]\s", re.MULTILINE)
_ASKS = re.compile(r"\?\s*$")
_UNDECIDED = re.compile(
    r"\beither\b|\bif\b.*\botherwise\b|^\W*if\b|\bor (?:none|neither|nothing|another)\b", re.IGNORECASE | re.DOTALL
)
_NAME_BEFORE = re.compile(
    r"(?:^|[\s(])"
    r"(?!(?:Option|Choice|Letter|Answer|Thus|Hence|Therefore|Pick|Choose|Select|Only|Clearly|Since|Because|That"
    r"|Definitely|Maybe|Perhaps|Probably|Then|And|But|So|The|It)\b)"
    r"[A-Z][a-z]{2,}\s$"
)


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
        marked = [letters for text in texts if (letters := _with_hedges(_MARKED.match(text), text))]
        if marked:
            return _different([letter for letters in marked for letter in letters])
    text = "\n".join(texts)
    opening = _with_hedges(_OPENING.match(text), text)
    if opening:
        return _different([*opening, *_OPENING_LATER.findall(text)])
    if any(found.search(text) for found in (_DENIED, _UNDECIDED, SUPPOSES, _ASKS)):
        return []
    standing = [match for match in _STANDING.finditer(text) if not _is_name(match, text)]
    return _different([letter for match in standing for letter in _with_hedges(match, text)])


def _letters_of(reference: str) -> list[str]:
    several = re.fullmatch(r"[\s({\[]*[A-Z](?:\s*(?:,|and|&)\s*[A-Z])+[\s)}\]]*", reference.strip())
    if several:
        return _different(re.findall(r"\b[A-Z]\b", reference))
    one = _OPENING.match(reference.strip())
    return [] if one is None else [one["letter"].upper()]


def _is_name(match: re.Match[str], text: str) -> bool:
    """Whether a letter that stands alone belongs to a name: vitamin B, Plan B."""
    return match["alone"] is not None and bool(_NAME_BEFORE.search(text, max(0, match.start() - 20), match.start()))


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
