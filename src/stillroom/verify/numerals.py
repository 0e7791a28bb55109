r"""Numbers as people and models write them, read as exact fractions.

Read are: thousands separators (1,234 and 1 234 and 1'234 and 1{,}234 and 1.234.567), decimals, repeating decimals
(0.333..., 0.(3), 0.\overline{3}), fractions (3/4, 1 1/2, ½, \frac{3}{4}), powers (10^3), scientific notation (1.5e3,
1.5 \times 10^{3}), per cent and per mille, and words of scale (5 million, 2 lakh, 5k). No float is involved.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from stillroom.verify.number_words import words_as_digits
from stillroom.verify.scripts import chinese_as_digits, plain_signs

MAX_DIGITS = 300
"""A number that needs more digits than this, written out, is not read: nobody means it, and it costs time."""

_GROUP_BLANKS = "\u00a0\u2009\u202f"
_SCALES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "k": 10**3,
    "万": 10**4,
    "萬": 10**4,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "亿": 10**8,
    "億": 10**8,
    "billion": 10**9,
    "bn": 10**9,
    "mn": 10**6,
    "mln": 10**6,
    "trillion": 10**12,
    "dozen": 12,
}
# A letter of an alphabet before a digit makes it part of a name. Chinese and Japanese set no blank before a number.
_LETTER = r"[^\W\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"

_NUMBER = re.compile(
    rf"""
    (?<!{_LETTER}) (?<![\^\\]) (?<!\d[.,]) (?<!\^\{{)
    (?: (?<![\w)\]}}$]) (?P<sign>[-+]) )?
    (?P<currency>[$€£¥₹])? (?: (?<=[$€£¥₹]) (?P<late_sign>-) )?
    (?:
        (?: (?P<frac_whole>\d+) \s* )?
            \\frac \s* (?:\{{\s*(?P<frac_over>-?\d+)\s*\}}|(?P<frac_over_digit>\d))
            \s* (?:\{{\s*(?P<frac_under>\d+)\s*\}}|(?P<frac_under_digit>\d))
      | (?P<repeating>\d*\.\d*) (?: \\overline\{{(?P<bar>\d+)\}} | \((?P<brackets>\d+)\) )
      | (?P<dotted>\d*\.\d+) (?:\.\.\.|…|\\ldots|\\dots|\\cdots)
      | (?P<mixed_whole>\d+) \s+ (?P<mixed_over>\d+) \s? / \s? (?P<mixed_under>\d+) (?![\d/])
      | (?P<over>\d+(?:,\d+)*) \s? / \s? (?P<under>\d+(?:,\d+)*) (?![\d/])
      | (?P<continental>\d{{1,3}}(?:\.\d{{3}})+,\d+ | \d{{1,3}}(?:\.\d{{3}}){{2,}}) (?![\d.,]\d)
      | (?P<quoted>[1-9]\d{{0,2}}(?:['’]\d{{3}})+(?:\.\d+)?) (?!['’.]?\d)
      | (?P<blanks>[1-9]\d{{0,2}}(?:[ ]\d{{3}})+(?:[.,]\d+)?) (?![\d,.]*\d)
      | (?P<plain>\d+(?:,\d+)*(?:\.\d+)? | \.\d+) (?!\.\d|\d)
    )
    (?: e(?P<exponent>[+-]?\d+)(?![\w.])
      | \s* (?:\\times|\\cdot|[×·*x]) \s* 10 \s* \^ \s* \{{?(?P<ten_exponent>-?\d+)\}}? )?
    (?: \s? (?:\^|\*\*) \s? \{{?(?P<power>\d+)\}}? (?P<tower>\s?(?:\^|\*\*))? )?
    (?: [ ]? (?P<percent>% | per[ ]?cent\b(?![ ]points) | percentage[ ]points? ) | [ ]? (?P<mille>‰) )?
    (?: [ ]? (?P<scale> (?<=\d)k\b(?!/) | (?:bn|mn|mln)\b
        | (?<=[ ])(?:hundred|thousand|million|billion|trillion|lakh|crore|dozen)s?\b | [万萬亿億] ) )?
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

    @property
    def is_left_to_divide(self) -> bool:
        """A whole number that is written as a fraction: 10/2."""
        return self.value is not None and self.value.denominator == 1 and ("/" in self.text or "\\frac" in self.text)


def tidied(text: str) -> str:
    r"""The text with LaTeX, typography and words made plain: `1{,}234` is 1,234, `\$` is $, ½ is 1/2, twelve is 12."""
    text = plain_signs(text)
    text = re.sub(r"\\(?:left|right|displaystyle|textstyle|big|Big)(?![A-Za-z])|\\!", "", text)
    text = re.sub(
        r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|underline|boxed|fbox|boldsymbol)\s*\{([^{}]*)\}", r" \1 ", text
    )
    text = re.sub(r"\\[dtc]frac", r"\\frac", text)
    text = re.sub(r"\\frac\s*\{\s*-", r"-\\frac{", text)
    text = re.sub(r"(?:(?<=[=(≈])[ \t]*|^\s*)-[ \t]*[({]?[ \t]*(?=[\d$])|-[({][ \t]*(?=[\d$])", " -", text)
    text = re.sub(rf"(?<=\d)(?:\{{,\}}|\\[,;]|[{_GROUP_BLANKS}])(?=\d{{3}})", ",", text)
    text = re.sub(r"(?<!\d)\*\*|\*\*(?!\d)", "", text)
    text = re.sub(r"\\([$%])", r"\1", text).replace("__", "").replace("^\\circ", "°")
    text = re.sub(r"(?<=\d)[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = re.sub(r"(\d)\u0305", r"\\overline{\1}", text)  # a bar of Unicode over the digit before it
    text = re.sub(r"(\d?)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])", _plain_fraction, text)
    return words_as_digits(chinese_as_digits(text))


def numerals(text: str) -> list[Numeral]:
    """Every number in a tidied text, in the order in which they stand."""
    return [_read(match) for match in _NUMBER.finditer(text)]


def agree_when_rounded(
    one: Fraction, other: Fraction, decimals: int | None, other_decimals: int | None, factor: Fraction = Fraction(1)
) -> bool:
    """Whether one of two different numbers may be the other one rounded.

    `decimals` are those that each is written with; a whole number is not taken for a rounded one, nor is one of two
    with the same number of decimals, unless `factor` stands between their units. Two that differ by less than a
    millionth may be the same after rounding of either.
    """
    if (decimals or 0) == (other_decimals or 0) and factor == 1:
        return False
    steps = [Fraction(1, 2 * 10**decimals)] if decimals else []
    steps += [factor / (2 * 10**other_decimals)] if other_decimals else []
    difference = abs(one - other)
    return bool(steps) and (difference <= max(steps) or difference * 10**6 < min(abs(one), abs(other)))


def _plain_fraction(match: re.Match[str]) -> str:
    return f"{match[1]} {unicodedata.normalize('NFKC', match[2])}".replace("\u2044", "/").lstrip()


def _read(match: re.Match[str]) -> Numeral:
    value, others, decimals = _unscaled(match)
    factor = Fraction(-1 if "-" in (match["sign"], match["late_sign"]) else 1)
    exponent = match["exponent"] or match["ten_exponent"]
    if exponent is not None:
        factor = factor * Fraction(10) ** int(exponent) if _is_small(exponent) else Fraction(0)
    if match["power"] is not None and value is not None:
        value = None if match["tower"] else _raised(value, match["power"])
    if match["mille"]:
        factor /= 1000
    others = tuple(other * factor for other in others)
    value = None if value is None or factor == 0 else value * factor
    if match["scale"] and value is not None:
        if match["scale"].lower() != "hundred":
            others = (*others, value)  # millions, or dozens, may have been asked for
        value *= _SCALES[match["scale"].lower().removesuffix("s")]
    if exponent is not None or match["power"] is not None or match["scale"] or match["mille"]:
        decimals = None
    return Numeral(value, others, match["percent"] is not None, decimals, match[0].strip(), match.start(), match.end())


def _unscaled(match: re.Match[str]) -> tuple[Fraction | None, tuple[Fraction, ...], int | None]:
    """The digits alone: value, what else they could mean, digits after the point."""
    if sum(map(str.isdigit, match[0])) > MAX_DIGITS:
        return None, (), None
    over = match["frac_over"] or match["frac_over_digit"]
    if over is not None:
        return _fraction(match["frac_whole"], over, match["frac_under"] or match["frac_under_digit"])
    if match["repeating"] is not None:
        return _repeating(match["repeating"], match["bar"] or match["brackets"]), (), None
    if match["dotted"] is not None:
        return _going_on(match["dotted"])
    if match["mixed_over"] is not None:
        return _fraction(match["mixed_whole"], match["mixed_over"], match["mixed_under"])
    if match["over"] is not None:
        return _fraction(None, match["over"].replace(",", ""), match["under"].replace(",", ""))
    if match["continental"] is not None:
        digits = match["continental"].replace(".", "").replace(",", ".")
        return Fraction(digits), (), _decimals(digits)
    if match["quoted"] is not None:
        digits = re.sub("['’]", "", match["quoted"])
        return Fraction(digits), (), _decimals(digits)
    if match["blanks"] is not None:
        parts = match["blanks"].replace(",", ".").split(" ")
        digits = "".join(parts)
        return Fraction(digits), (Fraction(parts[0]), Fraction(parts[-1])), _decimals(digits)
    return _with_commas(match["plain"])


def _with_commas(text: str) -> tuple[Fraction | None, tuple[Fraction, ...], int | None]:
    digits = text.replace(",", "")
    if "," not in text:
        thousands = re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text)  # what a continental 12.345 would be
        return Fraction(digits), (Fraction(digits) * 1000,) if thousands else (), _decimals(digits)
    whole = text.partition(".")[0]
    parts = whole.split(",")
    others = [Fraction(part) for part in (parts[0], parts[-1])]
    if len(parts) == 2 and "." not in text:
        others.append(Fraction(f"{parts[0]}.{parts[1]}"))
    if re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}", whole):
        # 1,234 is a thousand and more; a continental 1.234 is the one other thing it could be.
        return Fraction(digits), tuple(others[2:]), _decimals(digits)
    return None, (*others, Fraction(digits)), None


def _repeating(digits: str, repeated: str) -> Fraction:
    decimals = _decimals(digits)
    start = Fraction(digits if digits.strip(".") else "0")
    return start + Fraction(int(repeated), 10**decimals * (10 ** len(repeated) - 1))


def _going_on(digits: str) -> tuple[Fraction | None, tuple[Fraction, ...], int | None]:
    """0.1666... : what repeats is read where it is seen at least twice at the end."""
    decimals = digits.partition(".")[2]
    for length in range(1, len(decimals) // 2 + 1):
        block = decimals[-length:]
        if decimals.endswith(block * 2) and (length > 1 or decimals.endswith(block * 3) or len(decimals) == 2):
            return _repeating(digits[: len(digits) - length], block), (), None
    return None, (Fraction(digits),), len(decimals)


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
