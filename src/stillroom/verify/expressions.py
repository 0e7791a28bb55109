r"""Are two expressions in LaTeX the same value? Exact fractions first, then two opinions that must agree.

Plain numbers are compared as fractions. Other expressions are read by math-verify's grammar with every decimal as a
fraction, so that nothing is rounded, and their difference is worked out to 50 digits at several points; where it
vanishes, math-verify must find them the same too, in either order, from their text.

Only the worker imports this module: sympy takes a second to load, and can be made to compute for ever.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import sympy  # type: ignore[import-untyped]
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy  # type: ignore[import-untyped]
from math_verify import parse, verify  # type: ignore[import-untyped]

from stillroom.base.records import Verdict
from stillroom.verify.latex import key
from stillroom.verify.numerals import Numeral, agree_when_rounded, numerals, tidied

Outcome = tuple[Verdict, str]

LONGEST = 2000
"""Characters of an expression that is read at all. A longer one is the answer to nothing, and takes minutes."""
DIGITS = 50
_DEEPEST = 40
_POINTS = 3
_TO_BE_WORKED_OUT = "an expression where the reference is a number"


def compare_expressions(expected: str, given: str) -> Outcome:
    """Whether `given` is the value of `expected`. Both are in the writing of `plain_latex`."""
    if key(expected) == key(given):
        return "right", "the same expression"
    infinities = [_infinity(text) for text in (expected, given)]
    if any(infinities):
        return ("right", "the same end") if infinities[0] == infinities[1] else ("wrong", "another end")
    one, other = plain_number(expected), plain_number(given)
    if one is not None and other is not None:
        return _compare_numbers(one, other)
    try:
        first, second = parsed(expected), parsed(given)
    except NotReadError as error:
        return "unsure", str(error)
    same = vanishes(first - second)
    if same is None:
        return "unsure", "whether they are the same could not be worked out"
    if not same and _logarithms_differ(expected, given):
        return "unsure", "a logarithm whose base is not said"
    if not same:
        rounded = _rounds_to_the_other(first - second, one or other)
        return ("unsure", "the same only after rounding") if rounded else ("wrong", "another value")
    if one is not None:
        return "unsure", _TO_BE_WORKED_OUT
    if _is_factored(first) and not _is_factored(second):
        return "unsure", "the reference is factored and the answer is not"
    return ("right", "the same value") if math_verify_agrees(expected, given) else ("unsure", "math-verify disagrees")


class NotReadError(Exception):
    """An expression that is none, or none that anybody would write as an answer."""


def plain_number(text: str) -> Numeral | None:
    """The one numeral that the whole text is; None where it is more or less than that."""
    tidy = tidied(text.replace("{,}", ",")).strip()
    if re.search(r"[A-Za-z]", re.sub(r"\\(?:frac|times|cdot|overline|ldots)|\de-?\d", "", tidy)):
        return None
    found = numerals(tidy)
    if len(found) != 1 or found[0].text.replace(" ", "") != tidy.replace(" ", ""):
        return None
    return found[0]


def _compare_numbers(one: Numeral, other: Numeral) -> Outcome:
    if one.value is None or other.value is None:
        return "unsure", "a number that cannot be read"
    if one.value == other.value:
        left = other.is_left_to_divide and not one.is_left_to_divide
        return ("unsure", "a division that is left to do") if left else ("right", "the same number")
    if one.value in other.others or other.value in one.others:
        return "unsure", "the writing has two meanings"
    if agree_when_rounded(one.value, other.value, one.decimals, other.decimals):
        return "unsure", "the same only after rounding"
    return "wrong", "another number"


@lru_cache(maxsize=512)
def parsed(text: str) -> Any:
    """The sympy expression. Raises NotReadError where there is none."""
    if len(text) > LONGEST or _depth(text) > _DEEPEST:
        raise NotReadError("too long or too deep to be an answer")
    if re.search(r"\d\s+\d|\^\{[^{}]*\}\s+\d|(?<![\\A-Za-z])[A-Za-z]\s+\d|\\text", text):
        raise NotReadError("numbers or words side by side")
    if re.search(r"\d{300}|\\(?:input|include|write|def|catcode)|__|`|;|\?|\"", text):
        raise NotReadError("no expression")
    if _is_tower(text):
        raise NotReadError("a number that nobody works out")
    complex_numbers = bool(re.search(r"(?<![A-Za-z\\])i(?![A-Za-z])", text))
    try:
        found = latex2sympy(
            _exact(text),
            is_real=None if complex_numbers else True,
            convert_degrees=False,
            normalization_config=None,
            conversion_config=ConversionConfig(lowercase_symbols=False),
        )
    except Exception as error:
        raise NotReadError("no expression that can be read") from error
    if not isinstance(found, sympy.Expr) or found.has(sympy.nan, sympy.zoo) or found.has(sympy.Float):
        raise NotReadError("no expression that can be read")
    return found


def vanishes(difference: Any) -> bool | None:
    """Whether an expression is zero, as far as 50 digits at several points tell; None where they tell nothing."""
    symbols = sorted(difference.free_symbols, key=str)
    if not symbols:
        return _is_zero(difference)
    values = [_is_zero(difference.subs(_point(symbols, number))) for number in range(_POINTS)]
    told = [value for value in values if value is not None]
    if not told:
        return None
    return all(told) if len(told) > 1 or not told[0] else None


def math_verify_agrees(expected: str, given: str) -> bool:
    """math-verify's own opinion, from the text, in both orders: its comparison is not symmetric."""
    one, other = (parse(f"${text}$", parsing_timeout=None, raise_on_error=True) for text in (expected, given))
    return any(
        verify(first, second, timeout_seconds=None, raise_on_error=False)
        for first, second in ((one, other), (other, one))
    )


def proportional(one: Any, other: Any) -> bool | None:
    """Whether two expressions are the same but for a constant factor that is not zero; None where nobody can tell."""
    symbols = sorted(one.free_symbols | other.free_symbols, key=str)
    ratios = []
    for number in range(_POINTS):
        point = _point(symbols, number)
        below = other.subs(point)
        if _is_zero(below) is not False:
            return None
        ratios.append(one.subs(point) / below)
    if _is_zero(ratios[0]):
        return False
    zeros = [_is_zero(ratio - ratios[0]) for ratio in ratios[1:]]
    return None if None in zeros else all(zeros)


def number_of(text: str) -> Any:
    """The value of an interval's end as sympy has it. Raises NotReadError."""
    if infinity := _infinity(text):
        return infinity * sympy.oo
    numeral = plain_number(text)
    if numeral is not None and numeral.value is not None:
        return sympy.Rational(numeral.value.numerator, numeral.value.denominator)
    return parsed(text)


def _infinity(text: str) -> int:
    """1 and -1 for the two infinities, 0 for everything else."""
    return {"\\infty": 1, "-\\infty": -1}.get(key(text), 0)


def _point(symbols: list[Any], number: int) -> dict[Any, Any]:
    """Fractions that no formula singles out, of either sign."""
    primes = (13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
    return {
        symbol: sympy.Rational((-1) ** (number + index) * (primes[(number + index) % 10] + index), 7 + 4 * number)
        for index, symbol in enumerate(symbols)
    }


def _is_zero(value: Any) -> bool | None:
    """None where the value is no finite number."""
    if value.is_Rational:
        return bool(value == 0)
    number = sympy.N(value, DIGITS, maxn=4 * DIGITS, chop=False)
    if number.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) or not number.is_number:
        return None
    try:
        size = abs(complex(number))
    except (TypeError, ValueError, OverflowError):
        return None
    return size < 1e-60


def _rounds_to_the_other(difference: Any, numeral: Numeral | None) -> bool:
    """Whether `numeral` may be the other side rounded, which differs from it by `difference`."""
    if numeral is None or not numeral.decimals or difference.free_symbols:
        return False
    size = sympy.N(sympy.Abs(difference), 20)
    return bool(size.is_number and size <= sympy.Rational(1, 2 * 10**numeral.decimals))


def _logarithms_differ(one: str, other: str) -> bool:
    """Whether one side has a logarithm without a base where the other has a natural one."""
    plain, natural = r"\\log(?!\s*_)", r"\\ln"
    return any(re.search(plain, first) and re.search(natural, second) for first, second in ((one, other), (other, one)))


def _is_factored(expression: Any) -> bool:
    """Whether it is a product of sums, or a power of one."""
    factors = [factor for factor in sympy.Mul.make_args(expression) if factor.free_symbols]
    powers = [
        factor
        for factor in factors
        if factor.is_Pow and factor.base.is_Add and factor.exp.is_Integer and factor.exp > 1
    ]
    return bool(powers) or (len(factors) > 1 and any(factor.is_Add for factor in factors))


def _exact(text: str) -> str:
    """Every decimal as a fraction, thousands without separators, one blank after each command."""
    text = re.sub(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda match: match[0].replace(",", ""), text)
    return re.sub(r"(?<![\d.])(\d*)\.(\d+)(?![\d.])", _as_fraction, text)


def _as_fraction(match: re.Match[str]) -> str:
    return rf"\frac{{{int(match[1] + match[2])}}}{{{10 ** len(match[2])}}}"


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _is_tower(text: str) -> bool:
    """A power in a power, or an exponent or factorial that no computer writes out."""
    if re.search(r"\^\s*\{?[^{}^]*\d[^{}^]*\}?\s*\^", text) and not re.search(r"[a-z]\^\{[^{}]*[a-z]", text):
        return True
    return any(len(digits) > 4 for digits in re.findall(r"\^\s*\{?-?(\d+)|(\d+)\s*!", text) for digits in digits)
