"""Is one reading the other? Shape by shape, down to the expressions, which `values` and `expressions` compare.

Every comparison gives a verdict and its reason. Of several parts all must be right; one that is wrong makes the whole
wrong, else one that is unsure makes it unsure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import sympy  # type: ignore[import-untyped]

from stillroom.verify.expressions import NotReadError, Outcome, number_of, parsed, plain_number, proportional
from stillroom.verify.latex import key
from stillroom.verify.reading import as_real_set, read
from stillroom.verify.shapes import (
    Assigned,
    Based,
    Doubtful,
    Equation,
    Expression,
    Interval,
    Matrix,
    Ratio,
    Reading,
    RealSet,
    Several,
    Unread,
    Words,
)
from stillroom.verify.values import ANOTHER_KIND, compare_based, compare_ratios, compare_values, unsure_if_right


def compare(expected: Reading, given: Reading) -> Outcome:
    """Whether the answer `given` is the reference `expected`."""
    if isinstance(expected, Doubtful) or isinstance(given, Doubtful):
        reason = next(reading.reason for reading in (given, expected) if isinstance(reading, Doubtful))
        return unsure_if_right(compare(_undoubted(expected), _undoubted(given)), reason)
    if isinstance(expected, Unread) or isinstance(given, Unread):
        return ("right", "the same formula") if expected == given else ("unsure", "a formula that cannot be read")
    if isinstance(expected, Words) or isinstance(given, Words):
        return _words(expected, given)
    if isinstance(expected, Assigned | Equation) or isinstance(given, Assigned | Equation):
        return _equations(expected, given)
    if isinstance(expected, RealSet) or isinstance(given, RealSet):
        return _real_sets(expected, given)
    if isinstance(expected, Several) or isinstance(given, Several):
        return _several(expected, given)
    if isinstance(expected, Based) or isinstance(given, Based):
        return compare_based(expected, given)
    if isinstance(expected, Ratio) or isinstance(given, Ratio):
        return compare_ratios(expected, given)
    if isinstance(expected, Matrix) and isinstance(given, Matrix):
        return _matrices(expected, given)
    if isinstance(expected, Expression) and isinstance(given, Expression):
        return compare_values(expected, given)
    return ANOTHER_KIND


def _all(outcomes: Iterable[Outcome]) -> Outcome:
    worst: Outcome = ("right", "the same value")
    for outcome in outcomes:
        if outcome[0] == "wrong":
            return outcome
        if outcome[0] == "unsure":
            worst = outcome
    return worst


def _matrices(expected: Matrix, given: Matrix) -> Outcome:
    if [len(row) for row in expected.rows] != [len(row) for row in given.rows]:
        return "wrong", "a matrix of another size"
    cells = zip(chain(*expected.rows), chain(*given.rows), strict=True)
    return _all(compare(one, other) for one, other in cells)


def _undoubted(reading: Reading) -> Reading:
    return reading.value if isinstance(reading, Doubtful) else reading


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


def _equations(expected: Reading, given: Reading) -> Outcome:
    if isinstance(expected, Assigned) and isinstance(given, Assigned):
        values = compare(expected.value, given.value)
        if expected.name == given.name:
            return values
        if not (_has_letters(expected) and _has_letters(given)):
            return unsure_if_right(values, f"{given.name} where the reference has {expected.name}")
    if isinstance(expected, Assigned | Equation) and isinstance(given, Assigned | Equation):
        return _same_equation(_difference(expected), _difference(given))
    named = expected if isinstance(expected, Assigned) else given
    if not isinstance(named, Assigned):
        equation, other = (expected, given) if isinstance(expected, Equation) else (given, expected)
        assert isinstance(equation, Equation)
        outcome = compare(read(equation.right), other)
        return ("unsure", "an equation that is to be solved") if outcome[0] == "right" else ANOTHER_KIND
    outcome = compare(named.value, given) if named is expected else compare(expected, named.value)
    if _has_letters(named) and "(" not in named.name:
        return unsure_if_right(outcome, "an expression on one side and an equation on the other")
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
        return ANOTHER_KIND
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


UNREADABLE_SETS = (NotReadError, TypeError, ValueError, NotImplementedError)
"""What building a set raises: ours for text, and sympy's for ends that are not real (ValueError), that it cannot put in
order (TypeError), or whose union it cannot form (NotImplementedError)."""


def _real_sets(expected: Reading, given: Reading) -> Outcome:
    one, other = as_real_set(expected), as_real_set(given)
    if one is None or other is None:
        conditions = any(
            isinstance(reading, Several) and reading.how in ("list", "or") for reading in (expected, given)
        )
        return ("unsure", "conditions that cannot be read together") if conditions else ANOTHER_KIND
    try:
        first, second = _as_sympy(one), _as_sympy(other)
    except UNREADABLE_SETS:
        first = second = sympy.S.EmptySet
    same = first == second
    if same and first is sympy.S.EmptySet:  # not read, or an interval that ends before it begins
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
    if _is_set_of_one(expected) and not _is_set(given):
        return compare(one[0], given)
    if _is_set_of_one(given) and not _is_set(expected):
        return compare(expected, other[0])
    if isinstance(expected, Matrix) or isinstance(given, Matrix):
        return _column(expected, given)
    if not isinstance(expected, Several) or not isinstance(given, Several):
        alone, several = (expected, given) if isinstance(given, Several) else (given, expected)
        assert isinstance(several, Several)
        if several.how == "or" and several is given:
            matches = [compare(alone, part)[0] for part in several.parts]
            if "right" in matches and len(set(matches)) > 1:
                return "unsure", "several answers are offered"
        if several.how == "list" and _is_decimal_comma(several, alone):
            return "unsure", "two numbers, or one with a decimal comma"
        return _as_sets(one, other) if len(one) == len(other) else ANOTHER_KIND
    how = {expected.how, given.how}
    if how == {"tuple"}:
        return _in_order(one, other)
    if how in ({"tuple", "list"}, {"tuple", "set"}):
        if expected.how == "tuple" and given.how == "list" and all(isinstance(part, Assigned) for part in given.parts):
            return _in_order(one, _by_name(given))
        if how == {"tuple", "list"} and len(other) != len(one):
            return ANOTHER_KIND
        return unsure_if_right(_as_sets(one, other), "a tuple on one side and a list or set on the other")
    if how == {"list"}:
        ordered = _in_order(one, other)
        if ordered[0] == "right":
            return ordered
        if all(isinstance(part, Assigned) for part in (*one, *other)):
            return _in_order(_by_name(expected), _by_name(given))
        together = _as_sets(one, other) if len(one) == len(other) else ordered
        return unsure_if_right(together, "the same in another order") if together[0] != "wrong" else together
    return _as_sets(one, other)


def _is_set(reading: Reading) -> bool:
    return isinstance(reading, Several) and reading.how == "set"


def _is_set_of_one(reading: Reading) -> bool:
    return isinstance(reading, Several) and reading.how == "set" and len(reading.parts) == 1


def _column(expected: Reading, given: Reading) -> Outcome:
    """A matrix of one row or column against a tuple."""
    matrix, other = (expected, given) if isinstance(expected, Matrix) else (given, expected)
    assert isinstance(matrix, Matrix)
    assert isinstance(other, Several)
    cells = tuple(chain(*matrix.rows))
    if len(matrix.rows) not in (1, len(cells)) or other.how == "set":
        return ANOTHER_KIND
    return unsure_if_right(_in_order(cells, other.parts), "a matrix on one side and a tuple on the other")


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
