"""Numbers in words, in other scripts and as repeating decimals are read as what they are."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.verify.number_words import words_as_digits
from stillroom.verify.numerals import numerals, tidied
from stillroom.verify.scripts import chinese_value, plain_signs

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {in_words(number % size)}" if number % size else ""
            return f"{in_words(number // size)} {name}{rest}"
    if number < len(ONES):
        return ONES[number]
    return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")


@given(st.integers(2, 10**9 - 1))
def test_numbers_in_words_are_their_digits(number: int) -> None:
    assert words_as_digits(f"It makes {in_words(number)} in all.") == f"It makes {number} in all."


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("minus five", "-5"),
        ("three and a half", "7/2"),
        ("two thirds", "2/3"),
        ("half a million", "500000"),
        ("one point two five", "5/4"),
        ("one of them", "one of them"),
        ("five six", "five six"),
        ("someone often", "someone often"),
    ],
)
def test_words(words: str, digits: str) -> None:
    assert words_as_digits(words) == digits


@given(st.integers(0, 10**9), st.sampled_from("\u0660\u06f0\u0966\u0e50\uff10"))
def test_digits_of_every_script_are_digits(number: int, zero: str) -> None:
    assert plain_signs("".join(chr(ord(zero) + int(digit)) for digit in str(number))) == str(number)


@pytest.mark.parametrize(
    ("numeral", "value"),
    [
        ("十", 10),
        ("十二", 12),
        ("一百零五", 105),
        ("三千二百", 3200),
        ("二〇二四", 2024),
        ("一万二千", 12000),
        ("万", None),
    ],
)
def test_chinese_numerals(numeral: str, value: int | None) -> None:
    assert chinese_value(numeral) == value


@given(st.integers(0, 99), st.integers(1, 999))
def test_a_repeating_decimal_is_its_fraction(whole: int, repeated: int) -> None:
    (found,) = numerals(tidied(f"{whole}.({repeated})"))
    assert found.value == whole + Fraction(repeated, 10 ** len(str(repeated)) - 1)
