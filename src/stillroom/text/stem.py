"""The stem of an English word, roughly: what plural, past tense and the like have in common."""

from __future__ import annotations

_SHORTEST = 3
"""Letters that a stem has at least."""
_ENDINGS = (
    ("ically", "ic"), ("ization", "ize"), ("isation", "ize"), ("iness", "y"), ("ments", ""), ("ment", ""), ("ness", ""),
    ("ings", ""), ("ies", "y"), ("ied", "y"), ("ying", "y"), ("ing", ""), ("edly", ""), ("sses", "ss"), ("xes", "x"),
    ("ches", "ch"), ("shes", "sh"), ("ers", "er"), ("ed", ""), ("ly", ""), ("ss", "ss"), ("us", "us"), ("s", ""),
)  # fmt: skip


def stem(word: str) -> str:
    """The word in lower case without its ending. Wrong for some words, but the same for a word's usual forms.

    Words of other languages lose an ending now and then, in all places alike.
    """
    word = word.casefold()
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(instead) >= _SHORTEST:
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > _SHORTEST and word[-1] == "e":
        word = word[:-1]
    if len(word) > _SHORTEST and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]  # running, stopped
    return word
