"""Units of measurement and currencies at a number: which dimension, and how many of the base unit.

`unit_at(text, position)` reads "km", "square metres", "cm^2", "miles per hour", "km/h", "$" where they stand after a
number. Units of one dimension are converted into each other exactly; two currencies are two dimensions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

# dimension -> base units in one: spellings
_TABLE: dict[str, dict[str, str]] = {
    "length": {
        "1/1000": "mm millimeter millimeters millimetre millimetres",
        "1/100": "cm centimeter centimeters centimetre centimetres",
        "1": "m meter meters metre metres",
        "1000": "km kilometer kilometers kilometre kilometres",
        "0.0254": "inch inches",
        "0.3048": "ft foot feet",
        "0.9144": "yd yard yards",
        "1609.344": "mi mile miles",
    },
    "mass": {
        "1/1000000": "mg milligram milligrams",
        "1/1000": "g gram grams",
        "1": "kg kilogram kilograms kilo kilos",
        "1000": "tonne tonnes",
        "0.028349523125": "oz ounce ounces",
        "0.45359237": "lb lbs pound pounds",
    },
    "time": {
        "1": "s sec secs second seconds",
        "60": "min mins minute minutes",
        "3600": "h hr hrs hour hours",
        "86400": "day days",
        "604800": "week weeks",
    },
    "months": {"1": "month months", "12": "year years yr yrs"},
    "dollars": {"1": "$ dollar dollars usd", "1/100": "¢ cent cents"},
    "euros": {"1": "€ euro euros eur"},
    "pounds sterling": {"1": "£ gbp"},
    "rupees": {"1": "₹ rupee rupees inr"},
    "yen": {"1": "¥ yen jpy"},
    "angle": {"1": "° degree degrees deg"},
    "volume": {
        "1/1000000": "ml milliliter milliliters millilitre millilitres cc",
        "1/1000": "l liter liters litre litres",
        "0.003785411784": "gal gallon gallons",
    },
}
_UNITS = {
    spelling: (dimension, Fraction(size))
    for dimension, sizes in _TABLE.items()
    for size, spellings in sizes.items()
    for spelling in spellings.split()
}
_SPEEDS = {"mph": ("mi", "h"), "kph": ("km", "h"), "kmh": ("km", "h")}

_WORD = r"[A-Za-z]+|[$€£¥₹¢°]"
_UNIT = re.compile(
    rf"""
    \s? (?P<before>(?:square|sq\.?|cubic|cu\.?)[ ])? (?P<unit>{_WORD}) (?![A-Za-z])
    (?: (?:\s?\^\s?\{{?)?(?P<power>[23²³])\}}?(?!\d) | [ ](?P<power_word>squared|cubed)\b )?
    (?: [ ]? (?:/|per\b) [ ]? (?P<under>[A-Za-z]+) )?
    """,
    re.VERBOSE,
)
_ASKING = re.compile(r"\b(?:how (?:many|much)|number of|amount of|(?P<within>in))(?=\s[A-Za-z]{2})", re.IGNORECASE)
_PERCENT_ASKED = re.compile(r"(?<!\d)(?<!\d )(?:%|\bper ?cent(?:age)?)", re.IGNORECASE)
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "2": 2, "3": 3, "²": 2, "³": 3, "squared": 2, "cubed": 3}


Part = tuple[str, Fraction]
"""A dimension, and how many of its base unit one is."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`size` base units of `dimensions` ((name, power), sorted); `name` is how it was written, `end` where it ends.

    `over` and `under` are the plain units that it is made of: miles and hours in miles per hour.
    """

    dimensions: tuple[tuple[str, int], ...]
    size: Fraction
    name: str
    end: int
    over: Part
    under: Part | None


def unit_at(text: str, position: int) -> Unit | None:
    """The unit that stands at `position`, which is the end of a number; None where no known one does."""
    match = _UNIT.match(text, position)
    if match is None:
        return None
    if match["unit"] == "M":  # a million, if anything
        return None
    word = match["unit"].lower()
    above, below = (word, match["under"]) if word not in _SPEEDS else _SPEEDS[word]
    if above not in _UNITS:
        return None
    over = _UNITS[above]
    under = _UNITS.get(below.lower()) if below is not None else None
    power = _POWERS.get((match["before"] or match["power"] or match["power_word"] or "").strip(" .").lower(), 1)
    dimension, size = over
    powers = {"length": 3} if dimension == "volume" else {dimension: power}  # a volume is a length to the third
    if under is not None:
        powers[under[0]] = powers.get(under[0], 0) - 1
    dimensions = tuple(sorted((name, power) for name, power in powers.items() if power))
    end = match.end() if under is not None or below is None else match.end("unit")
    return Unit(
        dimensions, size**power / (under[1] if under else 1), text[match.start() : end].strip(), end, over, under
    )


def currency(text: str) -> Unit | None:
    """The unit of a currency sign."""
    return unit_at(text, 0) if text and text in "$€£¥₹" else None


def unfit_for(question: str, given: Unit) -> str:
    """Why an answer in a unit that the reference does not name may not answer the question; "" where it does.

    The unit must be the one that the question asks for ("how many hours", "in cents"), or, where it names none, the
    only one of its dimension that it speaks of.
    """
    asked = unit_asked_for(question)
    if asked is not None:
        return "" if _alike(asked, given) else f"{given.name} where the question asks for {asked.name}"
    spoken_of = _parts_mentioned(question)
    for part in (given.over, given.under):
        if part is not None and part not in spoken_of:
            return f"{given.name}, of which the question does not speak"
        if part is not None and any(dimension == part[0] for dimension, _ in spoken_of - {part}):
            return f"{given.name}, where the question speaks of another unit too"
    return ""


def unit_asked_for(question: str) -> Unit | None:
    """The unit that a question asks for; None where it does not say."""
    asked = None
    for match in _ASKING.finditer(question):
        start = match.end()
        for _ in range(1 if match["within"] else 3):  # "how many more total meters", but "in meters"
            unit = unit_at(question, start)
            if unit is not None:
                asked = unit
                break
            word = re.compile(r"\s[A-Za-z]+(?=\s)").match(question, start)
            if word is None:
                break
            start = word.end()
    return asked


def asks_for_percent(question: str) -> bool:
    """Whether a percentage is asked for, and not only spoken of: "what percentage", not "20% of"."""
    return bool(_PERCENT_ASKED.search(question))


def _alike(asked: Unit, given: Unit) -> bool:
    """The same unit, or the same but for "per week" on one side."""
    if asked.dimensions == given.dimensions and asked.size == given.size:
        return True
    same_power = dict(asked.dimensions).get(asked.over[0]) == dict(given.dimensions).get(given.over[0])
    return asked.over == given.over and same_power and None in (asked.under, given.under)


def _parts_mentioned(text: str) -> set[Part]:
    """Every plain unit that a text speaks of, with one letter only right after a number (16 m)."""
    if not is_money(text):
        text = text.replace("\\$", "dollars ").replace("$", " ")
    parts: set[Part] = set()
    for word in re.findall(r"(?<=\d)\s?[A-Za-z](?![A-Za-z])|[A-Za-z]{2,}|[$€£¥₹¢°]", text):
        unit = unit_at(word, 0)
        if unit is not None:
            parts |= {unit.over} | ({unit.under} if unit.under is not None else set())
    return parts


def is_money(text: str) -> bool:
    """Whether the dollar signs of a text are money: each stands before a number, or each after one."""
    signs = re.findall(r"(?<!\\)(.?)\$\s?(.?)", text)
    return all(after.isdigit() or after == "." for _, after in signs) or all(
        before.isdigit() and not after.isdigit() for before, after in signs
    )
