"""Is one reading the other? Shape by shape, down to the expressions, which `expressions` compares.

Every comparison gives a verdict and its reason. Of several parts all must be right; one that is wrong makes the whole
wrong, else one that is unsure makes it unsure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain

import sympy  # type: ignore[import-untyped]

from stillroom.verify.expressions import (
    NotReadError,
    Outcome,
    compare_expressions,
    number_of,
    parsed,
    plain_number,
    proportional,
)
from stillroom.verify.latex import key
from stillroom.verify.reading import (
    Assigned,
    Based,
    Equation,
    Expression,
    Inequality,
    Interval,
    Matrix,
    Ratio,
    Reading,
    RealSet,
    Several,
    Words,
    as_real_set,
)

_ANOTHER_KIND: Outcome = ("wrong", "another kind of answer")


def compare(expected: Reading, given: Reading) -> Outcome:
    """Whether the answer `given` is the reference `expected`."""
    if isinstance(expected, Words) or isinstance(given, Words):
        return _words(expected, given)
    if isinstance(expected, Assigned | Equation) or isinstance(given, Assigned | Equation):
        return _equations(expected, given)
    if isinstance(expected, RealSet) or isinstance(given, RealSet):
        return _real_sets(expected, given)
    if isinstance(expected, Several) or isinstance(given, Several):
        return _several(expected, given)
    if isinstance(expected, Based) or isinstance(given, Based):
        return _based(expected, given)
    if isinstance(expected, Matrix) and isinstance(given, Matrix):
        return _matrices(expected, given)
    if isinstance(expected, Ratio) and isinstance(given, Ratio):
        return _ratios(expected.parts, given.parts)
    if isinstance(expected, Inequality) and isinstance(given, Inequality):
        return ("right", "the same condition") if expected == given else ("unsure", "conditions that may be the same")
    if isinstance(expected, Expression) and isinstance(given, Expression):
        return _expressions(expected, given)
    return _ANOTHER_KIND


def _all(outcomes: Iterable[Outcome]) -> Outcome:
    worst: Outcome = ("right", "the same value")
    for outcome in outcomes:
        if outcome[0] == "wrong":
            return outcome
        if outcome[0] == "unsure":
            worst = outcome
    return worst


def _unsure(outcome: Outcome, reason: str) -> Outcome:
    """Right is unsure, for this reason."""
    return ("unsure", reason) if outcome[0] == "right" else outcome


def _matrices(expected: Matrix, given: Matrix) -> Outcome:
    if [len(row) for row in expected.rows] != [len(row) for row in given.rows]:
        return "wrong", "a matrix of another size"
    cells = zip(chain(*expected.rows), chain(*given.rows), strict=True)
    return _all(compare(one, other) for one, other in cells)


def _words(expected: Reading, given: Reading) -> Outcome:
    one, other = (_plain_words(reading) for reading in (expected, given))
    if one is None or other is None:
        return "unsure", "words where a formula was expected, or the other way round"
    return ("right", "the same words") if one == other else ("wrong", "other words")


def _plain_words(reading: Reading) -> str | None:
    if isinstance(reading, Words):
        text = reading.text.casefold()
        return text[1:-1].strip() if text[:1] == "(" and text[-1:] == ")" else text
    if isinstance(reading, Expression) and reading.text.isalpha() and reading.unit is None:
        return reading.text.casefold()
    return None


def _expressions(expected: Expression, given: Expression) -> Outcome:
    if expected.noun and given.noun and expected.noun.removesuffix("s") != given.noun.removesuffix("s"):
        return _unsure(_values(expected, given), f"{given.noun} where the reference has {expected.noun}")
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
        hundredth = ("right", "the same, one of them in per cent") if one.value == 100 * other.value else hundredth
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


def _equations(expected: Reading, given: Reading) -> Outcome:
    if isinstance(expected, Assigned) and isinstance(given, Assigned):
        values = compare(expected.value, given.value)
        if expected.name == given.name:
            return values
        if not (_has_letters(expected) and _has_letters(given)):
            return _unsure(values, f"{given.name} where the reference has {expected.name}")
    if isinstance(expected, Assigned | Equation) and isinstance(given, Assigned | Equation):
        return _same_equation(_difference(expected), _difference(given))
    named = expected if isinstance(expected, Assigned) else given
    if not isinstance(named, Assigned):
        return _ANOTHER_KIND
    outcome = compare(named.value, given) if named is expected else compare(expected, named.value)
    if _has_letters(named) and "(" not in named.name:
        return _unsure(outcome, "an expression on one side and an equation on the other")
    return outcome


def _has_letters(assigned: Assigned) -> bool:
    value = assigned.value
    if not isinstance(value, Expression):
        return False
    try:
        return bool(parsed(value.text).free_symbols)
    except NotReadError:
        return True


def _difference(reading: Reading) -> str | None:
    """Left side minus right side."""
    if isinstance(reading, Equation):
        return f"({reading.left})-({reading.right})"
    if isinstance(reading, Assigned) and isinstance(reading.value, Expression):
        return f"({reading.name})-({reading.value.text})"
    return None


def _same_equation(one: str | None, other: str | None) -> Outcome:
    if one is None or other is None:
        return _ANOTHER_KIND
    if key(one) == key(other):
        return "right", "the same equation"
    try:
        first, second = parsed(one), parsed(other)
    except NotReadError as error:
        return "unsure", str(error)
    same = proportional(first, second)
    if same:
        return "right", "the same equation"
    symbols = first.free_symbols | second.free_symbols
    polynomials = all(expression.is_polynomial(*symbols) for expression in (first, second))
    if same is False and polynomials and symbols:
        return "wrong", "another equation"
    return "unsure", "equations that may be the same"


def _real_sets(expected: Reading, given: Reading) -> Outcome:
    one, other = as_real_set(expected), as_real_set(given)
    if one is None or other is None:
        return _ANOTHER_KIND
    try:
        same = _as_sympy(one) == _as_sympy(other)
    except (NotReadError, TypeError, ValueError, NotImplementedError):
        alike = [_ends(interval) for interval in one.intervals] == [_ends(interval) for interval in other.intervals]
        return ("right", "the same interval") if alike else ("unsure", "an interval that cannot be read")
    if not same:
        return "wrong", "another set of numbers"
    if one.variable and other.variable and one.variable != other.variable:
        return "unsure", "the same condition on another letter"
    return "right", "the same set of numbers"


def _ends(interval: Interval) -> tuple[str, str, bool, bool]:
    return key(interval.low), key(interval.high), interval.low_open, interval.high_open


def _as_sympy(real: RealSet) -> sympy.Set:
    pieces = [
        sympy.Interval(number_of(piece.low), number_of(piece.high), piece.low_open, piece.high_open)
        if key(piece.low) != key(piece.high)
        else sympy.FiniteSet(number_of(piece.low))
        for piece in real.intervals
    ]
    return sympy.Union(*pieces)


def _several(expected: Reading, given: Reading) -> Outcome:
    one, other = _parts(expected), _parts(given)
    if not isinstance(expected, Several) or not isinstance(given, Several):
        alone, several = (expected, given) if isinstance(given, Several) else (given, expected)
        assert isinstance(several, Several)
        if several.how == "or" and several is given:
            matches = [compare(alone, part)[0] for part in several.parts]
            if "right" in matches and len(set(matches)) > 1:
                return "unsure", "several answers are offered"
        if several.how == "list" and _is_decimal_comma(several, alone):
            return "unsure", "two numbers, or one with a decimal comma"
        return _as_sets(one, other) if len(one) == len(other) else _ANOTHER_KIND
    how = {expected.how, given.how}
    if how == {"tuple"}:
        return _in_order(one, other)
    if how in ({"tuple", "list"}, {"tuple", "set"}):
        if expected.how == "tuple" and given.how == "list" and all(isinstance(part, Assigned) for part in given.parts):
            return _in_order(one, _by_name(given))
        if how == {"tuple", "list"} and len(other) != len(one):
            return _ANOTHER_KIND
        return _unsure(_as_sets(one, other), "a tuple on one side and a list or set on the other")
    if how == {"list"}:
        ordered = _in_order(one, other)
        if ordered[0] == "right":
            return ordered
        if all(isinstance(part, Assigned) for part in (*one, *other)):
            return _in_order(_by_name(expected), _by_name(given))
        together = _as_sets(one, other) if len(one) == len(other) else ordered
        return _unsure(together, "the same in another order") if together[0] != "wrong" else together
    return _as_sets(one, other)


def _parts(reading: Reading) -> tuple[Reading, ...]:
    return reading.parts if isinstance(reading, Several) else (reading,)


def _by_name(several: Several) -> tuple[Reading, ...]:
    named = [part for part in several.parts if isinstance(part, Assigned)]
    return tuple(part.value for part in sorted(named, key=lambda part: part.name))


def _in_order(one: Sequence[Reading], other: Sequence[Reading]) -> Outcome:
    if len(one) != len(other):
        return "wrong", f"{len(other)} parts where the reference has {len(one)}"
    return _all(compare(first, second) for first, second in zip(one, other, strict=True))


def _as_sets(one: Sequence[Reading], other: Sequence[Reading]) -> Outcome:
    """Each of one side must be among the other's, in both directions."""
    table = [[compare(first, second)[0] for second in other] for first in one]
    lines = [*table, *map(list, zip(*table, strict=True))] if table else [[] for _ in other]
    if all("right" in line for line in lines):
        return "right", "the same parts"
    if all("right" in line or "unsure" in line for line in lines):
        return "unsure", "parts that may be the same"
    return "wrong", "other parts"


def _is_decimal_comma(several: Several, alone: Reading) -> bool:
    texts = [part.text for part in several.parts if isinstance(part, Expression)]
    if len(texts) != 2 or len(several.parts) != 2 or not isinstance(alone, Expression):
        return False
    number = plain_number(f"{texts[0]}.{texts[1]}") if texts[1].isdigit() else None
    value = plain_number(alone.text)
    return number is not None and value is not None and number.value == value.value


def _based(expected: Reading, given: Reading) -> Outcome:
    if isinstance(expected, Based) and isinstance(given, Based):
        if expected.base == given.base:
            same = expected.digits.upper() == given.digits.upper()
            return ("right", "the same digits") if same else ("wrong", "other digits")
        same = _value(expected) == _value(given) is not None
        return ("unsure", "the same number in another base") if same else ("wrong", "another base")
    based, other = (expected, given) if isinstance(expected, Based) else (given, expected)
    assert isinstance(based, Based)
    if not isinstance(other, Expression):
        return _ANOTHER_KIND
    number = plain_number(other.text)
    if other.text.lstrip("0") == based.digits or (number is not None and number.value == _value(based)):
        return "unsure", "the base is left out"
    return "wrong", "another number"


def _value(based: Based) -> int | None:
    try:
        return int(based.digits, based.base) if 2 <= based.base <= 36 else None
    except ValueError:
        return None


def _ratios(one: Sequence[str], other: Sequence[str]) -> Outcome:
    if len(one) != len(other):
        return _ANOTHER_KIND
    outcome = _all(compare_expressions(first, second) for first, second in zip(one, other, strict=True))
    if outcome[0] != "wrong" or len(one) != 2:
        return outcome
    crossed = compare_expressions(rf"({one[0]}) \cdot ({other[1]})", rf"({one[1]}) \cdot ({other[0]})")
    return ("unsure", "the same ratio in other numbers") if crossed[0] == "right" else outcome
