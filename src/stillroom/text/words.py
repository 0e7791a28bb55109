"""A text as the words that it is compared by: case, white space and typography make no difference."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = dict.fromkeys(
    [0xAD, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
)
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼ`´′"))
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
_SAME_CHARACTERS = _INVISIBLE | _APOSTROPHES | _DASHES
# Scripts that put no spaces between words: every character counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_NUMBER = r"\d+(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?"
# An exclamation mark after a number or a bracket is a factorial; elsewhere it ends a sentence, which is no matter.
_SIGN = r"(?<=[\d)])!|[^\w\s\x00-\x1f\x7f-\x9f.,;:!?\"“”„«»…]|_"
_TOKEN = re.compile(rf"{_NUMBER}|[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W\d_])+|{_SIGN}")
_ASCII_TOKEN = re.compile(rf"[A-Za-z]+|{_NUMBER}|{_SIGN}", re.ASCII)
_THOUSANDS = re.compile(r"\d,\d{3}")

_UNITS = (
    "zero", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
# Without "one", which mostly is no number: one of them, no one, the blue one.
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_UNITS) if word} | {
    word: str(10 * value) for value, word in enumerate(_TENS, start=2)
}


def tokens(text: str) -> list[str]:
    """Words, numbers and symbols, in their order, with their case.

    Left out are white space, invisible characters, apostrophes and the punctuation of sentences. Numbers come without
    separators of thousands. Two texts that differ in nothing but case, white space, quotation marks, kinds of dashes
    and sentence punctuation have the same tokens, apart from case.
    """
    if text.isascii():
        found = _ASCII_TOKEN.findall(text.replace("'", "").replace("`", ""))
    else:
        found = _TOKEN.findall(unicodedata.normalize("NFKC", text).translate(_SAME_CHARACTERS))
    if _THOUSANDS.search(text):
        return [token.replace(",", "") for token in found]
    return found


def number(token: str) -> str | None:
    """The number that a token is, in digits: `1200` for 1200 and 1200.0, `7` for seven.

    None for all other tokens; "one" is no number here, for it mostly is a pronoun.
    """
    if token[0].isdigit():
        if not token.isascii():  # other scripts' digits
            token = "".join(str(unicodedata.digit(char, char)) for char in token)
        whole, _, decimals = token.partition(".")
        decimals = decimals.rstrip("0")
        whole = whole.lstrip("0") or "0"
        return f"{whole}.{decimals}" if decimals else whole
    return _NUMBER_WORDS.get(token.lower())
