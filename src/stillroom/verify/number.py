"""Kind `number`: the number in the answer is the number of the reference, as exact fractions.

Which number is judged is told by `quantity`, what is read as a number by `numerals`, what the reply says in the end by
`final`. Units are converted where both sides have one; a unit or a currency on one side only is accepted unless the
question speaks of another one. A tolerance comes from the question: `meta["tolerance"]` is a number, the greatest
difference in the reference's unit, or a string like "1%", relative to the reference.

Unsure are: several numbers joined ("5 or 6", "3 + 4"), bounds ("at least 5"), a writing with two meanings ("3,5"),
values that agree only after rounding, a percent sign on one side only below 1 (0.5 against 0.5 %).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from stillroom.base.records import Verdict
from stillroom.verify.doubts import WHICH
from stillroom.verify.final import final_answer
from stillroom.verify.judgement import Judgement
from stillroom.verify.numerals import Numeral, agree_when_rounded, numerals, tidied
from stillroom.verify.quantity import Found, Quantity, boxed_quantity, marked_quantity, quantity_at, unmarked_quantity
from stillroom.verify.units import asks_for_percent, unfit_for

_LOSS = re.compile(
    r"\b(?:loss|lose[sd]?|lost|debt|owes?|owed|below zero|deficit|decrease[sd]?|fell|dropped)\b", re.IGNORECASE
)


def verify_number(reference: str, answer: str, question: str = "", tolerance: Any = None) -> Judgement:
    """Judge `answer` against the one number in `reference`; `question` is the question's text, "" where unknown."""
    expected = numerals(tidied(reference))
    if len(expected) != 1 or expected[0].value is None:
        return Judgement("unsure", f"the reference {reference!r} is not one number")
    if tolerance is not None and _allowed(tolerance, Fraction(1)) is None:
        return Judgement("unsure", f"the question's tolerance {tolerance!r} is neither a number nor a percentage")
    wanted = quantity_at(tidied(reference), expected[0])
    final = final_answer(answer)
    if not final.texts:
        return Judgement("wrong", "no answer was given")
    read = boxed_quantity if final.boxed else marked_quantity if final.marked else unmarked_quantity
    judgements = [_judged(wanted, text, read(text), question=question, tolerance=tolerance) for text in final.texts]
    judgements = [one for one in judgements if one.extracted is not None] or judgements[-1:]
    last = judgements[-1]
    if final.doubt:
        return Judgement("unsure", final.doubt, last.extracted)
    if len({judgement.verdict for judgement in judgements}) > 1:
        return Judgement("unsure", "several answers that differ", last.extracted)
    return last


def _judged(wanted: Quantity, text: str, read: Found, *, question: str, tolerance: Any) -> Judgement:
    found, doubt = read
    if found is None:
        return Judgement("unsure" if doubt else "wrong", doubt or "no number was found")
    shown = found.numeral.text
    verdict, reason = _compared(wanted, found, tolerance)
    if doubt and not (doubt in WHICH and verdict == "wrong" and not _stands_in(wanted, text)):
        return Judgement("unsure", doubt, shown)
    if verdict == "right" and (mismatch := _against_question(wanted, found, question)):
        return Judgement("unsure", mismatch, shown)
    return Judgement(verdict, reason, shown)


def _stands_in(wanted: Quantity, text: str) -> bool:
    """Whether any number of a text is the reference, or may be."""
    return any(
        number.value in (None, wanted.value) or wanted.value in number.others for number in numerals(tidied(text))
    )


def _compared(wanted: Quantity, found: Quantity, tolerance: Any) -> tuple[Verdict, str]:
    factor = Fraction(1)
    if wanted.unit is not None and found.unit is not None:
        if wanted.unit.dimensions != found.unit.dimensions:
            return "wrong", f"{found.unit.name} where the reference has {wanted.unit.name}"
        factor = found.unit.size / wanted.unit.size
    elif found.value != found.numeral.value and not _is_money(found):
        return "unsure", "several units where the reference has none"
    elif wanted.noun and found.noun and wanted.noun.removesuffix("s") != found.noun.removesuffix("s"):
        return "unsure", f"{found.noun} where the reference has {wanted.noun}"
    return _same(wanted, found, factor, tolerance)


def _is_money(quantity: Quantity) -> bool:
    return quantity.unit is not None and quantity.unit.dimensions in ((("dollars", 1),), (("euros", 1),))


def _same(wanted: Quantity, found: Quantity, factor: Fraction, tolerance: Any) -> tuple[Verdict, str]:
    expected, numeral = wanted.numeral, found.numeral
    value = wanted.value
    assert value is not None
    if found.value is None:
        return "unsure", "the writing has no single meaning" if numeral.others else "the number cannot be read"
    given = found.value * factor
    if value == given and numeral.is_left_to_divide and not expected.is_left_to_divide:
        return "unsure", "a division that is left to do"
    if expected.percent == numeral.percent and value == given:
        return "right", "the same number" if factor == 1 else "the same number in another unit"
    if expected.percent != numeral.percent:
        if value / (100 if expected.percent else 1) == given / (100 if numeral.percent else 1):
            return "right", "the same number, one of them in per cent"
        if value == given:
            # 50 % where 50 was asked for in per cent: right. Below 1, 0.5 % and 0.5 are often two different things.
            return ("right" if abs(value) >= 1 else "unsure"), "the same number but for a percent sign"
    allowed = _allowed(tolerance, abs(value))
    if allowed is not None and abs(value - given) <= allowed and expected.percent == numeral.percent:
        return "right", "within the tolerance"
    if expected.percent != numeral.percent and _rounded_percentage(expected, numeral):
        return "unsure", "the same only after rounding, one of them in per cent"
    if value in numeral.others or found.value in expected.others:
        return "unsure", "the writing has two meanings"
    if tolerance is None and agree_when_rounded(value, given, expected.decimals, numeral.decimals, factor):
        return "unsure", "the same only after rounding"
    if value == -given and _LOSS.search(found.region):
        return "unsure", "the same number but for its sign, which may be in words"
    return "wrong", "another number"


def _rounded_percentage(one: Numeral, other: Numeral) -> bool:
    percentage, plain = (one, other) if one.percent else (other, one)
    if percentage.value is None or plain.value is None:
        return False
    decimals = None if percentage.decimals is None else percentage.decimals + 2
    return agree_when_rounded(percentage.value / 100, plain.value, decimals, plain.decimals)


def _allowed(tolerance: Any, size: Fraction) -> Fraction | None:
    """The greatest difference that a tolerance allows from a number of this size; None where it is no tolerance."""
    text = str(tolerance).strip()
    if isinstance(tolerance, bool) or not re.fullmatch(
        r"(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d{1,3})?\s*%?", text, re.IGNORECASE
    ):
        return None
    relative = text.endswith("%")
    allowed = Fraction(text.rstrip("% ").rstrip("."))
    return allowed * size / 100 if relative else allowed


def _against_question(wanted: Quantity, found: Quantity, question: str) -> str:
    """Why a unit that only the answer has does not fit the question; "" where it does or nobody can tell."""
    if not question.strip():
        return ""
    if found.numeral.percent and not wanted.numeral.percent and wanted.value == found.value:
        return "" if asks_for_percent(question) else "a percentage, which the question does not ask for"
    return "" if found.unit is None or wanted.unit is not None else unfit_for(question, found.unit)
