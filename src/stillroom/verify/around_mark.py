r"""Why a marked answer may not be the answer, told from what stands directly around its mark.

`not \boxed{5}`, `-\boxed{5}`, `\boxed{5}+1`, `\boxed{5}0` and `\boxed{5} million` hold a 5 in a box, and none of them
says 5. Units and degrees after a box are usual and left alone; so are the bullets and the emphasis of Markdown.
"""

from __future__ import annotations

import re

from stillroom.verify.doubts import is_denied

DENIED = "the answer is denied"
PART = "part of a longer expression"

_REACH = 80
# What may stand between a mark and the words before or after it.
_OPENS = re.compile(r"(?:\s|\$|\\[(\[]|\*\*|\\text\s*\{)*$")
_CLOSES = r"(?:[\s$\])*,]|\\\\|\\[)\]]|\\q?quad\b|\\text\s*\{|</answer>)*"
_DENIED_AFTER = re.compile(
    rf"{_CLOSES}(?:(?:is|was|seems|looks)\s+(?:not|wrong|incorrect|false|the wrong)\b|isn['’]t\b|wasn['’]t\b"
    r"|\?\s*(?:no|wrong)\b|no\b\s*[,.!:]|\(\s*(?:wrong|incorrect|no)\b)",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(r"(?:≠|!=|¬|\\(?:neq?|not|neg|lnot|[bx]?cancel|sout|phantom)\b)[\s{$]*$")
_PART_BEFORE = re.compile(
    r"""
      [-+/^](?<!--)$                                                        # attached: a sign, an exponent
    | \d$                                                                   # 2\boxed{5}
    | [\d)}]\s*[-+*/×÷·]\s*$                                                # an operation with what stands before it
    | [\w)}]\s*(?:[<>≤≥]|\\(?:lt|gt|leq?|geq?)\b)\s*$                      # a bound
    | (?:[±√]|\\(?:pm|mp|sqrt|cdot|times|div|frac)\b)[\s{(]*$
    """,
    re.VERBOSE,
)
_PART_AFTER = re.compile(
    r"""
      \d | [.,]\d | e[-+]?\d                                                # \boxed{5}0
    | \^(?!\s*\{?\s*(?:\\circ|\\prime|°|′)) | _(?=[\d{]) | !(?=\s*[$\d=+*/^-])
    | [\s$]*(?:\+\s*[\w(\\]|-\s?\d|\*\s?\d|/\s*[\d({\\]|[×÷±√])
    | [\s$]*\\(?:times|cdot|div|pm|mp|sqrt|frac|neq?|lt|gt|leq?|geq?)\b
    | [\s$)\]]*(?:\\text\s*\{\s*)?(?:hundred|thousand|million|billion|trillion|dozen)s?\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def doubt_around(text: str, start: int, end: int) -> str:
    """Why what is marked from `start` to `end` is not the answer, "" where nothing around it speaks against it."""
    before, after = text[max(0, start - _REACH) : start], text[end : end + _REACH]
    words = _OPENS.sub("", before)
    if _DENIED_AFTER.match(after) or _DENIED_BEFORE.search(before) or is_denied(words, len(words), len(words)):
        return DENIED
    return PART if _PART_BEFORE.search(before) or _PART_AFTER.match(after) else ""
