r"""Numbers as people and models write them, read as exact fractions.

Read are: thousands separators (1,234 and 1 234 and 1{,}234 and 1.234.567), decimals, fractions (3/4, 1 1/2, ½,
\frac{3}{4}), powers (10^3), scientific notation (1.5e3, 1.5 \times 10^{3}), per cent, and words of scale (5 million).
No float is involved.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 300
"""A number that needs more digits than this, written out, is not read: nobody means it, and it costs time."""

_GROUP_BLANKS = "\u00a0\u2009\u202f"
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_NUMBER = re.compile(
    r"""
    (?<![\w^\\]) (?<!\d[.,]) (?<!\^\{)
    (?: (?<![\w)\]}$]) (?P<sign>[-+]) )?
    (?P<currency>[$€£¥])? (?: (?<=[$€£¥]) (?P<late_sign>-) )?
    (?:
        (?: (?P<frac_whole>\d+) \s* )? \\frac \s* (?:\{\s*(?P<frac_over>-?\d+)\s*\}|(?P<frac_over_digit>\d))
            \s* (?:\{\s*(?P<frac_under>\d+)\s*\}|(?P<frac_under_digit>\d))
      | (?P<mixed_whole>\d+) \s+ (?P<mixed_over>\d+) \s? / \s? (?P<mixed_under>\d+) (?![\d/])
      | (?P<over>\d+(?:,\d+)*) \s? / \s? (?P<under>\d+(?:,\d+)*) (?![\d/])
      | (?P<continental>\d{1,3}(?:\.\d{3})+,\d+ | \d{1,3}(?:\.\d{3}){2,}) (?![\d.,]\d)
      | (?P<blanks>[1-9]\d{0,2}(?:[ ]\d{3})+(?:\.\d+)?) (?![\d,.]*\d)
      | (?P<plain>\d+(?:,\d+)*(?:\.\d+)? | \.\d+)
    )
    (?: e(?P<exponent>[+-]?\d+)(?![\w.])
      | \s* (?:\\times|\\cdot|[×·*]) \s* 10 \s* \^ \s* \{?(?P<ten_exponent>-?\d+)\}? )?
    (?: \s? \^ \s? \{?(?P<power>\d+)\}? )?
    (?: [ ]? (?P<percent>% | per[ ]?cent\b) )?
    (?: [ ]+ (?P<scale>hundred|thousand|million|billion|trillion)\b )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@dataclass(frozen=True, slots=True)
class Numeral:
    """One number in a text.

    `value` is None where the writing has no single meaning (3,5); `others` are what else it could mean. `decimals` is
    how many digits stand after the point, None for fractions. `value` of "50 %" is 50, with `percent` set.
    """

    value: Fraction | None
    others: tuple[Fraction, ...]
    percent: bool
    decimals: int | None
    text: str
    start: int
    end: int


def tidied(text: str) -> str:
    r"""The text with LaTeX and typography made plain: `1{,}234` is 1,234, `\$` is $, a minus a hyphen, ½ is 1/2."""
    text = text.replace("\u2212", "-").replace("\u2013", "-").replace("\\left", "").replace("\\right", "")
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}", r" \1 ", text)
    text = re.sub(r"\\[dtc]frac", r"\\frac", text)
    text = re.sub(rf"(?<=\d)(?:\{{,\}}|\\[,!;]|[{_GROUP_BLANKS}])(?=\d{{3}})", ",", text)
    text = re.sub(r"\\([$%])", r"\1", text).replace("**", "").replace("__", "")
    text = re.sub(r"(?<=10)[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    return re.sub(r"(\d?)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])", _plain_fraction, text)


def numerals(text: str) -> list[Numeral]:
    """Every number in a tidied text, in the order in which they stand."""
    return [_read(match) for match in _NUMBER.finditer(text)]


def _plain_fraction(match: re.Match[str]) -> str:
    return f"{match[1]} {unicodedata.normalize('NFKC', match[2])}".replace("\u2044", "/").lstrip()


def _read(match: re.Match[str]) -> Numeral:
    value, others, decimals = _unscaled(match)
    negative = "-" in (match["sign"], match["late_sign"])
    factor = Fraction(-1 if negative else 1)
    exponent = match["exponent"] or match["ten_exponent"]
    if exponent is not None:
        factor = factor * Fraction(10) ** int(exponent) if _is_small(exponent) else Fraction(0)
    if match["power"] is not None and value is not None:
        value = _raised(value, match["power"])
    others = tuple(other * factor for other in others)
    value = None if value is None or factor == 0 else value * factor
    if match["scale"] and value is not None:
        others = (*others, value)
        value *= _SCALES[match["scale"].lower()]
    if exponent is not None or match["power"] is not None or match["scale"]:
        decimals = None
    return Numeral(value, others, match["percent"] is not None, decimals, match[0].strip(), match.start(), match.end())


def _unscaled(match: re.Match[str]) -> tuple[Fraction | None, tuple[Fraction, ...], int | None]:
    """The digits alone: value, what else they could mean, digits after the point."""
    if max((len(run) for run in re.findall(r"\d+", match[0])), default=0) > MAX_DIGITS:
        return None, (), None
    over = match["frac_over"] or match["frac_over_digit"]
    if over is not None:
        return _fraction(match["frac_whole"], over, match["frac_under"] or match["frac_under_digit"])
    if match["mixed_over"] is not None:
        return _fraction(match["mixed_whole"], match["mixed_over"], match["mixed_under"])
    if match["over"] is not None:
        return _fraction(None, match["over"].replace(",", ""), match["under"].replace(",", ""))
    if match["continental"] is not None:
        digits = match["continental"].replace(".", "").replace(",", ".")
        return Fraction(digits), (), _decimals(digits)
    if match["blanks"] is not None:
        parts = match["blanks"].split(" ")
        digits = "".join(parts)
        return Fraction(digits), (Fraction(parts[0]), Fraction(parts[-1])), _decimals(digits)
    return _with_commas(match["plain"])


def _with_commas(text: str) -> tuple[Fraction | None, tuple[Fraction, ...], int | None]:
    digits = text.replace(",", "")
    if "," not in text:
        return Fraction(digits), (), _decimals(digits)
    whole = text.partition(".")[0]
    parts = whole.split(",")
    others = [Fraction(part) for part in (parts[0], parts[-1])]
    if len(parts) == 2 and "." not in text:
        others.append(Fraction(f"{parts[0]}.{parts[1]}"))
    if re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}", whole):
        # 1,234 is a thousand and more; a continental 1.234 is the one other thing it could be.
        return Fraction(digits), tuple(others[2:]), _decimals(digits)
    return None, tuple(others), None


def _fraction(whole: str | None, over: str, under: str) -> tuple[Fraction | None, tuple[Fraction, ...], None]:
    if int(under) == 0:
        return None, (), None
    return Fraction(int(whole or 0)) + Fraction(int(over), int(under)), (), None


def _raised(value: Fraction, power: str) -> Fraction | None:
    digits = len(str(max(abs(value.numerator), value.denominator)))
    return value ** int(power) if _is_small(power) and digits * int(power) <= MAX_DIGITS else None


def _is_small(exponent: str) -> bool:
    return len(exponent) <= 4 and abs(int(exponent)) <= MAX_DIGITS


def _decimals(digits: str) -> int:
    return len(digits.partition(".")[2])
