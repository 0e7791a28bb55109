"""Two forms of a text that are printed: without what typing leaves to chance, and as the template it was made from.

A skeleton is the text with holes: one in the place of each number, each quoted part, and each run of names, which are
words that begin with a capital and are no function words. Rows that are made from one template by filling in numbers,
names and quotations share it. Whether a sentence begins with a name or with a verb cannot be seen, so both are holes
there: that makes skeletons a little coarser and no less equal.
"""

from __future__ import annotations

import re
import unicodedata

from stillroom.text.function_words import FUNCTION_WORDS

HOLE = "\x00"
LONGEST_TEMPLATE = 20_000
"""Characters of a text that its skeleton is made of: a template stands before what is filled into it."""
LONGEST_COMPOSED = 100_000
"""Characters of a text whose NFKC form is made: one character may become eighteen."""

# No quotation holds the sign it began with, or a text of such signs would take the square of its length. The first sign
# stands alone in front: the search for it is quick; a choice of eight is tried at every character.
_QUOTED = re.compile(
    """[`"“«「'‘](?:(?<=`)(?:``.*?```|[^`\\n]+`)|(?<=")[^"\\n]+"|(?<=“)[^“”]+”|(?<=«)[^«»]+»|(?<=「)[^「」]+」"""
    """|(?<=(?<!\\w)')[^'\\n]+'(?!\\w)|(?<=(?<!\\w)‘)[^‘’\\n]+’(?!\\w))""",
    re.DOTALL,
)
_NUMBER_OR_WORD = re.compile(r"[$€£¥]?\d+(?:[.,:/]\d+)*(?:%|st\b|nd\b|rd\b|th\b)?|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_RUN_OF_HOLES = re.compile(f"{HOLE}(?:[ -]?{HOLE})+")
_NOT_NAMES = FUNCTION_WORDS - {"may", "will"}
_LONGEST_KEPT, _MOST_KEPT = 32, 50_000


def normalised(text: str) -> str:
    """NFKC (of texts that are not very long), without case, and with one space for every run of white space."""
    return " ".join(_composed(text).casefold().split())


def skeleton(text: str) -> str | None:
    """None where nothing would be left but holes and signs."""
    text = _QUOTED.sub(HOLE, _composed(text[:LONGEST_TEMPLATE]))
    # Word by word, each seen once: regular expressions over the whole text take ten times as long.
    words = " ".join([_PUNCHED[word] for word in text.split()])
    found = _RUN_OF_HOLES.sub(HOLE, words)
    return found if any(map(str.isalpha, found)) else None


class _PunchedWords(dict[str, str]):
    """Words with holes, made when they are first looked up. Only in memory, and never more than `_MOST_KEPT`."""

    def __missing__(self, word: str) -> str:
        punched = _NUMBER_OR_WORD.sub(_hole_or_word, word).casefold()
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[word] = punched
        return punched


_PUNCHED = _PunchedWords()


def _hole_or_word(found: re.Match[str]) -> str:
    part = found.group()
    if not part[0].isalpha():
        return HOLE
    is_name = part[0].isupper() and re.sub("['’]", "", part).casefold() not in _NOT_NAMES
    return HOLE if is_name else part


def _composed(text: str) -> str:
    return text if text.isascii() or len(text) > LONGEST_COMPOSED else unicodedata.normalize("NFKC", text)
