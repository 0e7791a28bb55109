"""Digits and signs of other scripts made plain: Arabic-Indic, Devanagari, full-width digits, Chinese numerals."""

from __future__ import annotations

import re
import unicodedata

_SIGNS = str.maketrans(
    {
        "\u2212": "-",  # minus sign
        "\u2044": "/",  # fraction slash
        "\u2215": "/",
        "\u066a": "%",  # Arabic percent sign
        "\u2012": "-",
        "\u2013": "-",  # en dash
        "\u066b": ".",  # Arabic decimal separator
        "\u066c": ",",  # Arabic thousands separator
        "\u3002": ". ",  # ideographic full stop
        "\u200b": "",
        "\ufeff": "",
    }
)
_CHINESE_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_CHINESE_STEPS = {"十": 10, "百": 100, "千": 1000}
_CHINESE_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_MOST_SIGNS = 40
_CHINESE = re.compile("[零〇一二三四五六七八九两十百千万萬亿億]+")


def plain_signs(text: str) -> str:
    """Digits of any script as 0-9, full-width characters narrow, a minus of any sort as a hyphen."""
    return "".join(map(_plain, text.translate(_SIGNS))) if not text.isascii() else text


def _plain(char: str) -> str:
    if char.isascii():
        return char
    if "\uff01" <= char <= "\uff5e" or "\u24b6" <= char <= "\u24e9":  # full-width; circled letters
        return unicodedata.normalize("NFKC", char)
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)


def chinese_as_digits(text: str) -> str:
    """Chinese numerals as digits. A single one is often part of a word, and is read only where nothing else is said."""
    whole = text.strip(" .,!*")

    def replaced(match: re.Match[str]) -> str:
        if len(match[0]) < 2 and match[0] != whole:
            return match[0]
        value = chinese_value(match[0])
        return match[0] if value is None else str(value)

    return _CHINESE.sub(replaced, text)


def chinese_value(numeral: str) -> int | None:
    """The value of a Chinese numeral (一百二十三); None where it is none."""
    if len(numeral) > _MOST_SIGNS:
        return None
    if all(sign in _CHINESE_DIGITS for sign in numeral):
        return int("".join(str(_CHINESE_DIGITS[sign]) for sign in numeral))
    total = section = digit = 0
    for sign in numeral:
        if sign in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[sign]
        elif sign in _CHINESE_STEPS:
            section += (digit or 1) * _CHINESE_STEPS[sign]
            digit = 0
        else:
            if not (section + digit or total):
                return None
            total = (total + section + digit) * _CHINESE_SCALES[sign]
            section = digit = 0
    return total + section + digit
