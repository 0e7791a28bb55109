"""English numbers in words, written as digits: "one hundred and five" is 105, "two thirds" 2/3, "minus five" -5.

"one", "a" and "half" alone stay words unless nothing else is said: they seldom are an answer.
"""

from __future__ import annotations

import re
from fractions import Fraction

_SMALL_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TENS_WORDS = """twenty thirty forty fifty sixty seventy eighty ninety"""
_SMALL = {word: value for value, word in enumerate(_SMALL_WORDS.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    word: value
    for value, words in {
        2: "half halves",
        3: "third thirds",
        4: "quarter quarters fourth fourths",
        5: "fifth fifths",
        6: "sixth sixths",
        8: "eighth eighths",
        10: "tenth tenths",
        100: "hundredth hundredths",
    }.items()
    for word in words.split()
}
_MOST_WORDS = 24
_NUMBER = "|".join(sorted([*_SMALL, *_TENS, "hundred", "dozen", *_SCALES], key=len, reverse=True))
_DIGIT = "zero|one|two|three|four|five|six|seven|eight|nine"
_SCALE = "hundred|thousand|million|billion|trillion"
_PART = "|".join(sorted(_PARTS, key=len, reverse=True))
_SPAN = re.compile(
    rf"""
    (?<![\w-]) (?<!\d[ ])
    (?: (?P<sign>minus|negative) \s+ )?
    (?: (?P<number> (?:a\s+(?=hundred|thousand|million|billion|dozen))?
            (?:{_NUMBER}) (?: (?:\s+|-|\s+and\s+) (?:{_NUMBER}) )* )
        (?: \s+point (?P<point>(?:\s+(?:{_DIGIT}))+)
          | \s+and\s+ (?P<and_part_count>a|an|one|two|three) [\s-]+ (?P<and_part>{_PART}) (?:\s+(?P<of_scale>{_SCALE}))?
          | [\s-]+ (?P<part>{_PART}) )?
      | (?P<one_part>an?) [\s-]+ (?P<single_part>half|third|quarter|fifth|tenth)
      | half \s+ an? \s+ (?P<half_of>{_SCALE}|dozen)
      | (?P<bare_part>half)
    )
    (?![\w-])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIGNED_DIGITS = re.compile(r"\b(?:minus|negative)\s+(?=\$?\d)", re.IGNORECASE)


def words_as_digits(text: str) -> str:
    """The text with its numbers in words written as digits."""
    whole = text.strip(" .,!?*\n$")

    def replaced(match: re.Match[str]) -> str:
        if match[0].lower() in ("one", "half", "zero") and match[0] != whole:
            return match[0]
        value = _value(match)
        return match[0] if value is None else str(value)

    return _SIGNED_DIGITS.sub("-", _SPAN.sub(replaced, text))


def _value(match: re.Match[str]) -> Fraction | None:
    if match["half_of"]:
        value: Fraction | None = _whole([match["half_of"].lower()])
        value = None if value is None else value / 2
    elif match["number"] is None:
        value = Fraction(1, _PARTS[(match["single_part"] or match["bare_part"]).lower()])
    else:
        value = _whole(re.findall(r"[a-z]+", match["number"].lower()))
        if value is not None:
            value = _with_parts(value, match)
    return -value if value is not None and match["sign"] else value


def _with_parts(value: Fraction, match: re.Match[str]) -> Fraction:
    """With what follows a whole number: "point five", "and a half", "thirds"."""
    if match["point"]:
        digits = [str(_SMALL[word]) for word in match["point"].lower().split()[:_MOST_WORDS]]
        return Fraction(f"{value}.{''.join(digits)}")
    if match["and_part"]:
        count = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}[match["and_part_count"].lower()]
        value += Fraction(count, _PARTS[match["and_part"].lower()])
        return value * (_SCALES | {"hundred": 100})[match["of_scale"].lower()] if match["of_scale"] else value
    return value / _PARTS[match["part"].lower()] if match["part"] else value


def _whole(words: list[str]) -> Fraction | None:
    """The value of the words; None where they are no number, as in "five six"."""
    if len(words) > _MOST_WORDS:
        return None
    total, group, last = 0, 0, 10**15  # `last`: the size of the word before, which the next must fit below
    for word in words:
        if word in ("a", "and"):
            continue
        if word in _SMALL or word in _TENS:
            value = _SMALL.get(word, _TENS.get(word, 0))
            if last <= value or (last < 100 and not (last >= 20 and value < 10)):
                return None
            group, last = group + value, value
        elif word == "hundred":
            group, last = (group or 1) * 100, 100
        elif word == "dozen":
            group, last = (group or 1) * 12, 12
        else:
            total, group, last = total + (group or 1) * _SCALES[word], 0, _SCALES[word]
    return Fraction(total + group)
