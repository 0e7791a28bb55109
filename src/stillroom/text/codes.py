"""Each token as a number: what it is compared by in the upper 28 bits, what sort of token it is in the lower 4."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from stillroom.text.function_words import FUNCTION_WORDS
from stillroom.text.stem import stem
from stillroom.text.words import number

NUMBER, OPERATOR, SYMBOL, FUNCTION, VARIABLE = 1, 2, 3, 4, 5
"""A number; a sign of arithmetic; another sign that is no word; a word that says little by itself; a single letter.

All other words have the sort 0.
"""
SIGNS = (OPERATOR, SYMBOL)
SORT = 0xF
"""The bits that hold the sort."""
_SORT_BITS = 4
# Without those that are as often hyphens, currencies, brackets or Markdown.
_OPERATORS = frozenset("+/=<>^%!×÷±·⋅≤≥≠≈√∑∏∫∈∪∩")
_VARIABLE = re.compile("[a-zα-ω]")
_MOST_REMEMBERED = 300_000


class Codebook:
    """Gives each token its code, and remembers those of the tokens that were seen lately.

    Words with the same stem have the same code, and so have `3`, `3.0` and `three`.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def codes(self, tokens: Sequence[str]) -> list[int]:
        found = list(map(self._known.get, tokens))
        if None not in found:
            return found  # type: ignore[return-value]
        return [self._code(token) if code is None else code for token, code in zip(tokens, found, strict=True)]

    def _code(self, token: str) -> int:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        code = self._known[token] = _code(token)
        return code


def _code(token: str) -> int:
    value = number(token)
    if value is not None:
        return _packed(value, NUMBER)
    if not token[0].isalnum():
        return _packed(token, OPERATOR if token in _OPERATORS else SYMBOL)
    word = token.casefold()
    if word in FUNCTION_WORDS:
        return _packed(word, FUNCTION)
    return _packed(word, VARIABLE) if _VARIABLE.fullmatch(word) else _packed(stem(word), 0)


def _packed(text: str, sort: int) -> int:
    hashed = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")
    return (hashed >> _SORT_BITS << _SORT_BITS) | sort


ONE = _packed("1", NUMBER)
"""The code of the number 1, which is often left out or written out."""
