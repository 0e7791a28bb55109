"""Which number of a text is the answer, with its unit; and why it may not be.

In a marked text ("the answer is ...", a box) it is the first number of the first line that has one, or, with equals
signs, the first after the last of them. In an unmarked one it is the number that ends the last sentence with a number,
if that sentence says so: it holds only one, or the number follows an equals sign or a word like "makes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from stillroom.verify.numerals import Numeral, numerals, tidied
from stillroom.verify.units import Unit, currency, unit_at

# What joins two numbers so that neither is the answer. A comma joins in a marked answer only: "In 2020, 18 came."
_JOINED = re.compile(
    r"(?:[ ]+[^\W\d]+){0,2}[ ]*\b(?:or|to|and|in|plus|minus|times|through)[ ]*[$€£]?"
    r"|[ $]*(?:[-+*/×÷±~]|\\pm|\\times|\\cdot|\\div)[ $]*|:|[ ]*\(?or[ ]+"
)
_LISTED = re.compile(r"(?:[ ]+[^\W\d]+){0,2}[ ]*[,;][ $]*(?:(?:or|and)[ ]+)?")
_SYMBOLIC = re.compile(r"\\(?:sqrt|pi|log|ln|sin|cos|tan|infty|pm|sum|int|binom)\b|[√π∞±]|\d!|\^\{?[a-z]")
_IN_WORDS = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety|hundred|thousand|million|half|dozen)\b",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"(?:\b(?:at (?:least|most)|(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|other|rather) than"
    r"|over|under|above|below|nearly|almost|up to|between|either|minimum of|maximum of|instead of|anything but)"
    r"|[<>≤≥≠]=?|\\(?:le|ge|leq|geq|ne|neq|lt|gt|leqslant|geqslant)|!=)\s*(?:than )?(?:equal to )?[$€£(]*$",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|nor|cannot|neither)|n['’]t)"
    r"(?:\s+(?:be|been|equal|equals|to|exactly|simply|just|the|really|actually|is|a|an))*\s*[$€£(]*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[)$]*\s*(?:[^\W\d]+\s+)?(?:isn['’]t|wasn['’]t"
    r"|(?:is|was|would be|seems|looks)\s+(?:not|wrong|incorrect|false|impossible|too|clearly wrong)\b)",
    re.IGNORECASE,
)
_RELATIVE = re.compile(
    r"\s*(?:[^\W\d]+\s+){0,2}(?:more|less|fewer|greater|higher|lower|older|younger)\s+than\b", re.IGNORECASE
)
_DEPENDS = re.compile(r"\bif\b.*\b(?:otherwise|else)\b|\b(?:otherwise|or else)\b", re.IGNORECASE | re.DOTALL)
# What stands before the number that a sentence comes to.
_CONCLUDES = re.compile(
    r"(?:[=≈]|\b(?:is|are|was|were|be|equals?|makes?|made|gives?|gave|gets?|got|leaves?|left|has|have|had|totals?"
    r"|total of|comes? to|amounts? to|sum of|earns?|earned|costs?|needs?|takes?|pays?|spends?|spent|so|thus|therefore"
    r"|hence|means|yields?|results? in|becomes?))"
    r"(?:\s+(?:a|the|only|exactly|about|approximately|around|total|of|just|still|now|there|are|is|=|:)){0,4}\s*[$€£(:]*$",
    re.IGNORECASE,
)
_OUT_OF = re.compile(
    r"\s*(?:[^\W\d]+\s+){0,2}(?:out\s+)?of\s+(?:(?:the|these|those|all|its|his|her|their)\s+)*[$€£]?$", re.IGNORECASE
)
_IN_A_CALL = re.compile(r"\w\([^()\s]*$|\w\(['\"][^()]*$|__\w*$")
_DATE = re.compile(r"\b\d{4}[-/]\d{1,2}[-/]\d{1,2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_PLAIN_NOUN = re.compile(r"\s([A-Za-z]{3,})\b")
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


_UNCLEAR = "which of several numbers is meant is not clear"

Found = tuple[Quantity | None, str]
"""The quantity, and why it may not be the answer ("" where it is)."""


def quantity_at(region: str, numeral: Numeral) -> Quantity:
    unit = currency(numeral.text.lstrip("-+")[:1]) or unit_at(region, numeral.end)
    noun = _PLAIN_NOUN.match(region, numeral.end)
    counted = noun[1].lower() if unit is None and noun and noun[1].lower() not in _NO_NOUN.split() else ""
    return Quantity(numeral, numeral.value, unit, counted, region)


def marked_quantity(text: str) -> Found:
    """The quantity that a marked text gives."""
    region = _line_with_number(tidied(text))
    found = numerals(region)
    if not found:
        return None, _nothing_found(region) or "what is marked as the answer holds no number"
    first = next((index for index, number in enumerate(found) if not _denied(region, number)), None)
    if first is None:
        return quantity_at(region, found[0]), "it says what the answer is not"
    quantity, length = _compound(region, found[first:])
    if _SYMBOLIC.search(region):
        return quantity, "an expression, not a number"
    following = found[first + length :]
    if following:
        between = region[found[first + length - 1].end : following[0].start]
        if (_JOINED.fullmatch(between) or _LISTED.fullmatch(between)) and not _denied(region, following[0]):
            return quantity, "several numbers are joined"
        lead = region[: found[first].start]
        told = _CONCLUDES.search(lead) or _OUT_OF.fullmatch(between)
        if len(re.findall(r"[A-Za-z]{2,}", lead)) > 3 and not told:
            return quantity, _UNCLEAR
    return quantity, _doubt(region, quantity)


def unmarked_quantity(text: str) -> Found:
    """The quantity that a text without a mark ends with."""
    tidy = _DATE.sub(" ", tidied(text))
    sentences = [sentence for sentence in _sentences(tidy) if numerals(sentence)]
    if not sentences:
        return None, _nothing_found(tidy)
    region = sentences[-1]
    found = [number for number in numerals(region) if not _denied(region, number)]
    if not found:
        return quantity_at(region, numerals(region)[-1]), "it says what the answer is not"
    numbers = numerals(region)
    if len(found) > 1 and _OUT_OF.fullmatch(region[found[-2].end : found[-1].start]):
        found = found[:-1]
        return quantity_at(region, found[-1]), "" if len(found) == 1 else _UNCLEAR
    for index in range(len(found)):
        quantity, length = _compound(region, found[index:])
        if length > 1 and index + length == len(found):
            return quantity, "" if index == 0 else _joined_or_unclear(region, found[: index + 1])
    quantity = quantity_at(region, found[-1])
    if len(found) == 1 and len(sentences) == 1 and len(numbers) == 1:
        return quantity, _doubt(region, quantity)
    return quantity, _joined_or_unclear(region, found, alone=_is_alone(region, quantity)) or _doubt(region, quantity)


def _joined_or_unclear(region: str, found: list[Numeral], *, alone: bool = False) -> str:
    last = found[-1]
    if len(found) > 1 and _JOINED.fullmatch(region[found[-2].end : last.start]):
        return "several numbers are joined"
    if len({(number.value, number.percent) for number in found}) > 1:
        equals = region.rfind("=")
        after = next((number for number in found if number.start > equals >= 0), last)
        if after.value != last.value:
            return "the number after the equals sign is not the last one"
    return "" if alone or _CONCLUDES.search(region[: last.start]) else _UNCLEAR


def _is_alone(region: str, quantity: Quantity) -> bool:
    """Whether the sentence is the number and little else."""
    end = quantity.unit.end if quantity.unit is not None else quantity.numeral.end
    rest = region[: quantity.numeral.start] + region[max(end, quantity.numeral.end) :]
    return len(re.findall(r"\w+", rest)) <= 1


def _doubt(region: str, quantity: Quantity) -> str:
    before, after = region[: quantity.numeral.start], region[quantity.numeral.end :]
    if _BOUND.search(before) or re.match(r"\s*(?:\+(?!\s*\d)|or (?:more|less|fewer)\b)", after):
        return "a bound, not a number"
    if "±" in before or "\\pm" in before or re.search(r"\bone\s+(?:in|out of|of)\s*$", before):
        return "an expression, not a number"
    if _RELATIVE.match(after):
        return "a difference to something else"
    if _DEPENDS.search(region):
        return "it depends on a condition"
    if _IN_A_CALL.search(before):
        return "a program, not an answer"
    return "a question, not an answer" if region.rstrip().endswith("?") else ""


def _denied(region: str, number: Numeral) -> bool:
    return bool(_DENIED_BEFORE.search(region[: number.start]) or _DENIED_AFTER.match(region, number.end))


def _nothing_found(text: str) -> str:
    if _IN_WORDS.search(text):
        return "the number may be in words"
    return "no number that can be read" if _VERSION.search(text) else ""


def _compound(region: str, found: list[Numeral]) -> tuple[Quantity, int]:
    """The first quantity with what follows in smaller units of the same dimension, and how many numbers it takes."""
    whole = quantity_at(region, found[0])
    if whole.unit is None or whole.value is None or currency(whole.unit.name):
        return whole, 1
    value, end, size, length = whole.value, whole.unit.end, whole.unit.size, 1
    for number in found[1:]:
        part = quantity_at(region, number)
        joined = re.fullmatch(r"\s*(?:,|and|,\s*and)?\s*", region[end : number.start])
        if not joined or part.unit is None or part.value is None or part.unit.dimensions != whole.unit.dimensions:
            break
        if part.unit.size >= size:
            break
        value += part.value * part.unit.size / whole.unit.size
        end, size, length = part.unit.end, part.unit.size, length + 1
    return Quantity(whole.numeral, value, whole.unit, "", region), length


def _sentences(text: str) -> list[str]:
    lines = (_LIST_MARK.sub("", line) for line in text.splitlines())
    return [sentence for line in lines for sentence in re.split(r"(?<=[.!?;])\s+(?=\S)", line)]


def _line_with_number(text: str) -> str:
    """The first line with a number, up to the end of its sentence, after its last equals sign."""
    line = next((line for line in text.splitlines() if numerals(line)), "")
    if not line:
        return text
    first = numerals(line)[0]
    start = first.end
    sentence = line[:start] + re.split(r"[.!?](?:\s|$)|;\s", line[start:], maxsplit=1)[0]
    before, equals, after = sentence.rpartition("=")
    if equals and numerals(after) and not before.rstrip().endswith(("<", ">", "!", "≤", "≥")):
        return after
    return sentence
