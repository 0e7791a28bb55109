"""Which number of a text is the answer, with its unit; and why it may not be.

In a box or a tag there must be one number, or several of one value. After a phrase ("the answer is ...") it is the
first number of the first line that has one, or, with equals signs, the first after the last of them. In a text without
a mark it is the number that ends the last sentence with a number. What speaks against it is told by `doubts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from stillroom.verify.doubts import UNCLEAR, concludes, doubt_about, is_denied
from stillroom.verify.numerals import Numeral, numerals, tidied
from stillroom.verify.units import Unit, currency, unit_at

_LONGEST_SENTENCE = 2000

MOST_NUMBERS = 60
"""A sentence with more numbers than this has no one answer."""

# What joins two numbers so that neither is the answer. A comma joins in a marked answer only: "In 2020, 18 came."
_JOINED = re.compile(
    r"(?:[ ]+[^\W\d]+){0,2}[ ]*\b(?:or|to|and|in|plus|minus|times|through|over|by)[ ]*[$€£]?"
    r"|[ $]*(?:[-+*/×÷±~]|\\pm|\\times|\\cdot|\\div)[ $]*|:|[ ]*\(?or[ ]+|\s+"
    r"|[ ]*,[ ]*(?:and[ ]+)?[a-z][ ]*=[ ]*"
)
_LISTED = re.compile(r"(?:[ ]+[^\W\d]+){0,2}[ ]*[,;&|][ $]*(?:(?:or|and)[ ]+)?|[ ]*\\(?:quad|qquad|\\)[ ]*")
_SYMBOLIC = re.compile(r"\\(?:sqrt|pi|log|ln|sin|cos|tan|infty|pm|sum|int|binom)\b|[√π∞±]|\d!|\^\{?[a-z]")
_IN_WORDS = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety|hundred|thousand|million|half|dozen|none|nobody|nothing)\b|^\W*[IVXLCDM]+\W*$",
    re.IGNORECASE,
)
_OUT_OF = re.compile(
    r"\s*(?:[^\W\d]+\s+){0,2}(?:out\s+)?of\s+(?:(?:the|these|those|all|its|his|her|their)\s+)*[$€£]?$", re.IGNORECASE
)
_RESULT = re.compile(r"\b(?:total|result|answer|sum|altogether|in all|so|thus|therefore|hence)\b", re.IGNORECASE)
_DATE = re.compile(r"\b\d{4}[-/]\d{1,2}[-/]\d{1,2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_PLAIN_NOUN = re.compile(r"\s([A-Za-z]{3,})\b")
_ATTACHED = re.compile(r"(?!(?:st|nd|rd|th)\b)[A-Za-z]\w*")
_LIST_MARK = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+")
# Words that may follow a number and are not what is counted.
_NO_NOUN = """left more less total each per are and the was were will for altogether remaining have has had because
since which that who when where then than from with after before times out all now still in on at by to of or if so
as is"""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit. `value` includes what follows in smaller units: 1 hour 30 minutes is 1.5 hours.

    `noun` is what is counted where that is no unit. `region` is the text in which it stands.
    """

    numeral: Numeral
    value: Fraction | None
    unit: Unit | None
    noun: str
    region: str
    end: int
    """Where it ends in the region, its unit included."""


Found = tuple[Quantity | None, str]
"""The quantity, and why it may not be the answer ("" where it is)."""


def quantity_at(region: str, numeral: Numeral) -> Quantity:
    sign = currency(numeral.text.lstrip("-+")[:1])
    unit = sign or unit_at(region, numeral.end)
    noun = _PLAIN_NOUN.match(region, numeral.end)
    counted = noun[1].lower() if unit is None and noun and noun[1].lower() not in _NO_NOUN.split() else ""
    end = numeral.end if unit is None or sign is not None else unit.end
    return Quantity(numeral, numeral.value, unit, counted, region, end)


def boxed_quantity(text: str) -> Found:
    """The quantity that a box, a tag, or a line after hashes holds."""
    region = _after_equals(" ; ".join(line for line in tidied(text).splitlines() if line.strip()))
    found = numerals(region)[:MOST_NUMBERS]
    if not found:
        return None, _nothing_found(region) or "what is marked as the answer holds no number"
    quantity, length = _compound(region, found)
    if _SYMBOLIC.search(region):
        return quantity, "an expression, not a number"
    if any((number.value, number.percent) != (found[0].value, found[0].percent) for number in found[length:]):
        return quantity, "several numbers are joined"
    return quantity, _doubt(quantity)


def marked_quantity(text: str) -> Found:
    """The quantity that follows a phrase like "the answer is"."""
    tidy = tidied(text)
    region = _line_with_number(tidy)
    found = numerals(region)[:MOST_NUMBERS]
    if not found:
        return None, _nothing_found(region) or "what is marked as the answer holds no number"
    first, *below = tidy.splitlines()
    if not numerals(first) and sum(bool(numerals(line)) for line in below) > 1:
        return quantity_at(region, found[0]), UNCLEAR
    denied = next((index for index, number in enumerate(found) if not _denied(region, number)), len(found))
    if denied == len(found):
        return quantity_at(region, found[0]), "it says what the answer is not"
    if denied:
        region = region[found[denied - 1].end :]  # "not 18 but 20"
        found = numerals(region)[:MOST_NUMBERS]
    quantity, length = _compound(region, found)
    if _SYMBOLIC.search(region):
        return quantity, "an expression, not a number"
    following = found[length:]
    if following:
        between = region[found[length - 1].end : following[0].start]
        if (_JOINED.fullmatch(between) or _LISTED.fullmatch(between)) and not _denied(region, following[0]):
            return quantity, "several numbers are joined"
    return quantity, _doubt(quantity)


def unmarked_quantity(text: str) -> Found:
    """The quantity that a text without a mark ends with."""
    tidy = _DATE.sub(" ", tidied(text))
    sentences = [sentence for sentence in _sentences(tidy) if re.search(r"\d", sentence)]
    while sentences and not numerals(sentences[-1][-_LONGEST_SENTENCE:]):
        sentences.pop()
    if not sentences:
        return None, _nothing_found(tidy)
    region = sentences[-1][-_LONGEST_SENTENCE:]
    numbers = numerals(region)
    found = [number for number in numbers if not _denied(region, number)]
    if len(numbers) > MOST_NUMBERS:
        return quantity_at(region, numbers[-1]), UNCLEAR
    if not found:
        return quantity_at(region, numbers[-1]), "it says what the answer is not"
    if len(found) > 1 and _OUT_OF.fullmatch(region[found[-2].end : found[-1].start]):
        quantity = quantity_at(region, found[-2])
        return quantity, _doubt(quantity) if len(found) == 2 else UNCLEAR
    for index in range(len(found)):
        quantity, length = _compound(region, found[index:])
        if index + length == len(found):
            found = found[: index + 1]
            break
    if _SYMBOLIC.search(region[max(0, quantity.numeral.start - 1) :]):
        return quantity, "an expression, not a number"
    if len(found) == 1 == len(sentences) or _is_alone(quantity):
        return quantity, _joined(region, found) or _doubt(quantity)
    is_result = _RESULT.search(region) or "=" in region[: quantity.numeral.start]
    if not is_result and any(_RESULT.search(sentence) for sentence in sentences[:-1]):
        return quantity, UNCLEAR
    return quantity, _joined(region, found) or _unclear(region, found) or _doubt(quantity)


def _joined(region: str, found: list[Numeral]) -> str:
    if len(found) > 1 and _JOINED.fullmatch(region[found[-2].end : found[-1].start]):
        return "several numbers are joined"
    return ""


def _unclear(region: str, found: list[Numeral]) -> str:
    """Whether another number of the sentence may be meant than its last one."""
    last = found[-1]
    equals = region.rfind("=")
    after = next((number for number in found if number.start > equals >= 0), last)
    if after.value != last.value:
        return "the number after the equals sign is not the last one"
    if not concludes(region, last.start):
        return UNCLEAR
    told = [number for number in found[:-1] if number.value != last.value and concludes(region, number.start)]
    concluding = re.search(
        r"=|\b(?:so|thus|therefore|hence|which|making|leaving|giving|for a total of)\b", region[: last.start]
    )
    return UNCLEAR if told and not concluding else ""


def _is_alone(quantity: Quantity) -> bool:
    """Whether the sentence is the number and little else."""
    rest = quantity.region[: quantity.numeral.start] + quantity.region[quantity.end :]
    return len(re.findall(r"\w+", rest)) <= 1


def _doubt(quantity: Quantity) -> str:
    region, start, end = quantity.region, quantity.numeral.start, quantity.end
    if quantity.numeral.percent and re.match(r"\s*of\b", region[end:]):
        return "a share of something"
    attached = _ATTACHED.match(region, end) if end == quantity.numeral.end else None
    return doubt_about(region, start, end, attached=attached[0] if attached else "")


def _denied(region: str, number: Numeral) -> bool:
    return is_denied(region, number.start, number.end)


def _nothing_found(text: str) -> str:
    if _IN_WORDS.search(text):
        return "the number may be in words"
    return "no number that can be read" if _VERSION.search(text) else ""


def _compound(region: str, found: list[Numeral]) -> tuple[Quantity, int]:
    """The first quantity with what follows in smaller units of the same dimension, and how many numbers it takes."""
    whole = quantity_at(region, found[0])
    if whole.unit is None or whole.value is None:
        return whole, 1
    value, end, size, length = whole.value, whole.end, whole.unit.size, 1
    for number in found[1:]:
        part = quantity_at(region, number)
        joined = re.fullmatch(r"\s*(?:,|and|,\s*and)?\s*", region[end : number.start])
        if not joined or part.unit is None or part.value is None or part.unit.dimensions != whole.unit.dimensions:
            break
        if part.unit.size >= size:
            break
        value += part.value * part.unit.size / whole.unit.size
        end, size, length = part.end, part.unit.size, length + 1
    return Quantity(whole.numeral, value, whole.unit, "", region, end), length


def _sentences(text: str) -> list[str]:
    lines = (_LIST_MARK.sub("", line) for line in text.splitlines())
    return [sentence for line in lines for sentence in re.split(r"(?<=[.!?;])\s+(?=\S)", line)]


def _line_with_number(text: str) -> str:
    """The first line with a number, up to the end of its sentence, after its last equals sign."""
    line = next((line for line in text.splitlines() if numerals(line)), "")
    if not line:
        return text
    start = numerals(line)[0].end
    sentence = re.split(r"(?<=[.!?])\s", line[start:], maxsplit=1)[0]
    return _after_equals(line[:start] + sentence)


def _after_equals(text: str) -> str:
    """What stands after the last equals sign, where a number does."""
    before, equals, after = text.rpartition("=")
    if equals and numerals(after) and not before.rstrip().endswith(("<", ">", "!", "≤", "≥")):
        return after
    return text
