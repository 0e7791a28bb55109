"""What remains of a text when its numbers are taken out, and the numbers themselves."""

from __future__ import annotations

from collections.abc import Sequence

HOLE = "#"

_UNITS = (
    "zero", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# Without "one", which mostly is no number: one of them, no one, the blue one.
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_UNITS) if word} | {
    word: str(10 * value) for value, word in enumerate(_TENS, start=2)
}


def number(token: str) -> str | None:
    """The number that a token of `stillroom.text.words` is, in digits: `1200` for 1200 and 1200.0, `7` for seven.

    None for all other tokens; "one" is no number here, for it mostly is a pronoun.
    """
    if token[0].isdigit():
        whole, _, decimals = token.partition(".")
        decimals = decimals.rstrip("0")
        whole = whole.lstrip("0") or "0"
        return f"{whole}.{decimals}" if decimals else whole
    return _NUMBER_WORDS.get(token.lower())


def skeleton(tokens: Sequence[str]) -> list[str]:
    """The tokens in lower case, with a hole in place of each number."""
    return [HOLE if number(token) is not None else token.casefold() for token in tokens]


def numbers(tokens: Sequence[str]) -> list[str]:
    """The numbers among the tokens, sorted, without the number 1: whether that is written is a matter of style."""
    found = [value for value in map(number, tokens) if value is not None and value != "1"]
    return sorted(found)
