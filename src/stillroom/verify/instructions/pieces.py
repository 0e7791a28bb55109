"""Counts that depend on where one piece of text ends: as few and as many as somebody may count."""

from __future__ import annotations

import re

_ABBREVIATION = re.compile(
    r"\b(?:mr|mrs|ms|dr|prof|st|jr|sr|inc|ltd|co|vs|etc|e\.g|i\.e|a\.m|p\.m|u\.s|no|fig|ph\.d|[a-z])\.\Z", re.IGNORECASE
)
_END = re.compile(r"[.!?]+[\"'”’)\]*_]*(?=\s|\Z)")
_WORD = re.compile(r"[^\W_]+(?:['’.&-][^\W_]+)*")


def sentences(text: str) -> tuple[int, int]:
    """The fewest and the most sentences that the text may be said to have.

    The fewest: what ends in a full stop, question or exclamation mark before a capital letter, not counting the ends of
    abbreviations. The most: what ends in such a mark at all, and each line.
    """
    if not text.strip():
        return 0, 0
    joined = " ".join(text.split())
    sure = sum(_surely_ends(joined, match) for match in _END.finditer(joined))
    most = 0
    for line in filter(str.strip, text.splitlines()):
        marks = len(re.findall(r"[.!?]+(?!\w)", line.strip()))
        most += marks + (not re.search(r"[.!?][^\w\s]*\Z", line.strip()))
    return sure + 1, max(most, sure + 1)


def _surely_ends(text: str, match: re.Match[str]) -> bool:
    """Whether a sentence ends here and another one begins."""
    rest = text[match.end() :].lstrip(" \"'“‘(*_-")
    return bool(rest) and rest[0].isupper() and not _ABBREVIATION.search(text[: match.start() + 1])


def capital_words(text: str) -> tuple[int, int]:
    """The fewest and the most words in capitals: a word with an apostrophe, a hyphen or dots is one, or its parts."""
    whole = [match[0] for match in _WORD.finditer(text)]
    joined = sum(word.isupper() for word in whole)
    single = sum(part.isupper() for word in whole for part in re.split(r"['’.&-]", word))
    return min(joined, single), max(joined, single)
