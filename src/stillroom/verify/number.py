"""Kind `number`: the number in the answer is the number of the reference, as exact fractions.

Which number is judged: the first one after the last mark ("the answer is", "####", a box, an answer tag), or, in a
marked line with equals signs, the first after the last of them; without a mark, the last number of the answer, which
is unsure when its line has another one after an equals sign. What is read as a number is in `numerals`.

Units and currencies are not compared, except that two different known ones (km against m) are unsure. Unsure too are:
several numbers joined ("5 or 6", "3 + 4", "5-6"), a writing with two meanings ("3,5"), values that agree only after
rounding, and a percent sign on one side only below 1 (0.5 against 0.5 %).
"""

from __future__ import annotations

import re
from fractions import Fraction

from stillroom.base.records import Verdict
from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import marked_answers
from stillroom.verify.numerals import Numeral, numerals, tidied

# What joins two numbers so that neither is the answer. A comma joins in a marked answer only: "In 2020, 18 came."
_JOINED = re.compile(
    r"(?:[ ]+[^\W\d]+){0,2}[ ]*\b(?:or|to|and)[ ]*[$€£]?|[ $]*(?:[-+*/×÷±~]|\\pm|\\times|\\cdot)[ $]*|:"
)
_LISTED = re.compile(r"(?:[ ]+[^\W\d]+){0,2}[ ]*[,;][ $]*")
_SYMBOLIC = re.compile(r"\\(?:sqrt|pi|log|ln|sin|cos|tan|infty)\b|[√π∞]")
_IN_WORDS = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety|hundred|thousand|million|half|dozen)\b",
    re.IGNORECASE,
)
_UNITS = {
    spelling: unit
    for unit, spellings in {
        "millimetre": "mm millimeter millimeters millimetre millimetres",
        "centimetre": "cm centimeter centimeters centimetre centimetres",
        "metre": "m meter meters metre metres",
        "kilometre": "km kilometer kilometers kilometre kilometres",
        "inch": "inch inches",
        "foot": "ft foot feet",
        "yard": "yd yard yards",
        "mile": "mi mile miles",
        "milligram": "mg milligram milligrams",
        "gram": "g gram grams",
        "kilogram": "kg kilogram kilograms",
        "ounce": "oz ounce ounces",
        "pound": "lb lbs pound pounds",
        "millilitre": "ml milliliter milliliters millilitre millilitres",
        "litre": "l liter liters litre litres",
        "second": "s sec secs second seconds",
        "minute": "min mins minute minutes",
        "hour": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "year years",
        "cent": "cent cents ¢",
        "dollar": "$ dollar dollars usd",
        "euro": "€ euro euros eur",
    }.items()
    for spelling in spellings.split()
}


def verify_number(reference: str, answer: str) -> Judgement:
    expected = numerals(tidied(reference))
    if len(expected) != 1 or expected[0].value is None:
        return Judgement("unsure", f"the reference {reference!r} is not one number")
    region, found, doubt = _answered(answer)
    if found is None:
        return Judgement("unsure" if doubt else "wrong", doubt or "no number was found")
    if doubt:
        return Judgement("unsure", doubt, found.text)
    units = {_unit(tidied(reference), expected[0]), _unit(region, found)} - {None}
    if len(units) > 1:
        return Judgement("unsure", "another unit than the reference's", found.text)
    verdict, reason = _compared(expected[0], found)
    return Judgement(verdict, reason, found.text)


def _answered(answer: str) -> tuple[str, Numeral | None, str]:
    """The text in which the judged number stands, the number, and why it may not be the answer ("" if it is)."""
    marked = marked_answers(answer)
    if not marked:
        region = tidied(answer)
        found = numerals(region)
        if not found:
            return region, None, "the number may be in words" if _IN_WORDS.search(region) else ""
        return region, found[-1], _doubt_about_last(region, found)
    region = _line_with_number(tidied(marked[-1].text))
    found = numerals(region)
    if not found:
        return region, None, "what is marked as the answer holds no number"
    if _SYMBOLIC.search(region):
        return region, found[0], "an expression, not a number"
    if len(found) > 1 and _joins(region[found[0].end : found[1].start]):
        return region, found[0], "several numbers are joined"
    return region, found[0], ""


def _doubt_about_last(region: str, found: list[Numeral]) -> str:
    """Why the last number of an unmarked answer may not be the answer: "5 or 6", "= 8 apples after 15 days"."""
    if len(found) > 1 and _JOINED.fullmatch(region[found[-2].end : found[-1].start]):
        return "several numbers are joined"
    line_start = region.rfind("\n", 0, found[-1].start) + 1
    equals = region.rfind("=", line_start, found[-1].start)
    after_equals = next((number for number in found if number.start > equals >= 0), found[-1])
    same = after_equals.value == found[-1].value
    return "" if same else "the number after the equals sign is not the last one"


def _line_with_number(text: str) -> str:
    """The first line with a number, up to the end of its sentence, after its last equals sign."""
    line = next((line for line in text.splitlines() if numerals(line)), "")
    start = numerals(line)[0].end if line else 0
    sentence = line[:start] + re.split(r"[.!?](?:\s|$)", line[start:], maxsplit=1)[0]
    after = sentence.rpartition("=")[2]
    return after if numerals(after) else sentence


def _joins(between: str) -> bool:
    return bool(_JOINED.fullmatch(between) or _LISTED.fullmatch(between))


def _compared(expected: Numeral, found: Numeral) -> tuple[Verdict, str]:
    value = expected.value
    assert value is not None
    if found.value is None and not found.others:
        return "unsure", "the number cannot be read"
    if found.value is not None:
        if _plain(value, expected) == _plain(found.value, found):
            return "right", "the same number"
        if value == found.value:
            # 50 % where 50 was asked for in per cent: right. Below 1, 0.5 % and 0.5 are often two different things.
            return ("right" if abs(value) >= 1 else "unsure"), "the same number but for a percent sign"
    if value in found.others or found.value in expected.others:
        return "unsure", "the writing has two meanings"
    if found.value is not None and _agree_when_rounded(value, expected, found.value, found):
        return "unsure", "the same only after rounding"
    return "wrong", "another number"


def _plain(value: Fraction, number: Numeral) -> Fraction:
    return value / 100 if number.percent else value


def _agree_when_rounded(value: Fraction, expected: Numeral, found_value: Fraction, found: Numeral) -> bool:
    places = min((number.decimals for number in (expected, found) if number.decimals is not None), default=0)
    return places >= 1 and abs(value - found_value) <= Fraction(1, 2 * 10**places)


def _unit(region: str, number: Numeral) -> str | None:
    """The unit that stands at a number, where it is one of the known ones."""
    if number.text[0] in "$€":
        return _UNITS[number.text[0]]
    word = re.match(r"[ ]?([A-Za-z]+|[$€¢])(?!\w)", region[number.end :])
    return _UNITS.get(word[1].lower()) if word else None
