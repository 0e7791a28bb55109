"""Is one value the other, where both may have a unit, a percent sign or a base, or be a ratio?"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from stillroom.verify.expressions import Outcome, compare_expressions, plain_number
from stillroom.verify.numerals import agree_when_rounded
from stillroom.verify.shapes import Based, Expression, Ratio, Reading

ANOTHER_KIND: Outcome = ("wrong", "another kind of answer")


def unsure_if_right(outcome: Outcome, reason: str) -> Outcome:
    """Right is unsure, for this reason."""
    return ("unsure", reason) if outcome[0] == "right" else outcome


def compare_values(expected: Expression, given: Expression) -> Outcome:
    if expected.noun and given.noun and expected.noun.removesuffix("s") != given.noun.removesuffix("s"):
        return unsure_if_right(_values(expected, given), f"{given.noun} where the reference has {expected.noun}")
    one, other = expected.unit, given.unit
    if one is None and other is None:
        return _percentages(expected, given)
    if one is not None and other is not None:
        if one.dimensions != other.dimensions:
            return "wrong", f"{other.name} where the reference has {one.name}"
        if one.size != other.size:
            return _converted(expected, given, other.size / one.size)
        return _values(expected, given)
    bare, degrees = (given, one) if one is not None else (expected, other)
    if degrees is not None and degrees.dimensions == (("angle", 1),) and "\\pi" in bare.text:
        return _radians(expected, given)
    return _values(expected, given)


def _values(expected: Expression, given: Expression) -> Outcome:
    return compare_expressions(expected.text, given.text)


def _converted(expected: Expression, given: Expression, factor: Fraction) -> Outcome:
    one, other = plain_number(expected.text), plain_number(given.text)
    if one is None or other is None or one.value is None or other.value is None:
        return "unsure", "another unit"
    if one.value == other.value * factor:
        return "right", "the same in another unit"
    close = abs(one.value - other.value * factor) * 100 <= abs(one.value)
    return ("unsure", "nearly the same in another unit") if close else ("wrong", "another value")


def _radians(expected: Expression, given: Expression) -> Outcome:
    in_degrees, in_radians = (expected, given) if expected.unit is not None else (given, expected)
    outcome = compare_expressions(rf"\frac{{{in_degrees.text}\cdot \pi}}{{180}}", in_radians.text)
    return outcome if outcome[0] == "right" else ("wrong" if outcome[0] == "wrong" else "unsure", "radians for degrees")


def _percentages(expected: Expression, given: Expression) -> Outcome:
    if expected.percent == given.percent:
        outcome = _values(expected, given)
        if outcome[0] == "wrong" and not expected.percent:
            return _degrees_left_out(expected, given) or outcome
        return outcome
    with_sign, without = (expected, given) if expected.percent else (given, expected)
    hundredth = compare_expressions(rf"\frac{{{with_sign.text}}}{{100}}", without.text)
    one, other = plain_number(with_sign.text), plain_number(without.text)
    if one is not None and other is not None and one.value is not None and other.value is not None:
        if one.value == 100 * other.value:
            return "right", "the same, one of them in per cent"
        decimals = None if one.decimals is None else one.decimals + 2
        if agree_when_rounded(one.value / 100, other.value, decimals, other.decimals):
            return "unsure", "the same only after rounding, one of them in per cent"
    if hundredth[0] == "right":
        return hundredth
    as_written = _values(expected, given)
    if as_written[0] == "right" and one is not None and one.value is not None and abs(one.value) < 1:
        return "unsure", "the same number but for a percent sign"
    return as_written


def _degrees_left_out(expected: Expression, given: Expression) -> Outcome | None:
    """90 against pi/2: the same angle, where degrees were asked for and not."""
    if ("\\pi" in expected.text) == ("\\pi" in given.text):
        return None
    plain, radians = (given, expected) if "\\pi" in expected.text else (expected, given)
    same = compare_expressions(rf"\frac{{{plain.text}\cdot \pi}}{{180}}", radians.text)[0] == "right"
    return ("unsure", "the same angle, if one of them is in degrees") if same else None


def compare_based(expected: Reading, given: Reading) -> Outcome:
    if isinstance(expected, Based) and isinstance(given, Based):
        if expected.base == given.base:
            same = expected.digits.upper() == given.digits.upper()
            return ("right", "the same digits") if same else ("wrong", "other digits")
        same = _value(expected) == _value(given) is not None
        return ("unsure", "the same number in another base") if same else ("wrong", "another base")
    based, other = (expected, given) if isinstance(expected, Based) else (given, expected)
    assert isinstance(based, Based)
    if not isinstance(other, Expression):
        return ANOTHER_KIND
    number = plain_number(other.text)
    if other.text.lstrip("0") == based.digits or (number is not None and number.value == _value(based)):
        return "unsure", "the base is left out"
    return "wrong", "another number"


def _value(based: Based) -> int | None:
    try:
        return int(based.digits, based.base) if 2 <= based.base <= 36 else None
    except ValueError:
        return None


def compare_ratios(expected: Reading, given: Reading) -> Outcome:
    """A ratio against another, or 3:4 against 3/4."""
    if isinstance(expected, Ratio) and isinstance(given, Ratio):
        return _ratios(expected.parts, given.parts)
    ratio, other = (expected, given) if isinstance(expected, Ratio) else (given, expected)
    if not isinstance(ratio, Ratio) or not isinstance(other, Expression) or len(ratio.parts) != 2:
        return ANOTHER_KIND
    outcome = compare_expressions(rf"\frac{{{ratio.parts[0]}}}{{{ratio.parts[1]}}}", other.text)
    return unsure_if_right(outcome, "a ratio on one side and a number on the other")


def _ratios(one: Sequence[str], other: Sequence[str]) -> Outcome:
    if len(one) != len(other):
        return ANOTHER_KIND
    verdicts = [compare_expressions(first, second)[0] for first, second in zip(one, other, strict=True)]
    if set(verdicts) == {"right"}:
        return "right", "the same ratio"
    outcome: Outcome = ("wrong", "another ratio") if "wrong" in verdicts else ("unsure", "a ratio that may be the same")
    if len(one) != 2:
        return outcome
    crossed = compare_expressions(rf"({one[0]}) \cdot ({other[1]})", rf"({one[1]}) \cdot ({other[0]})")
    return ("unsure", "the same ratio in other numbers") if crossed[0] == "right" else outcome
