"""Units are converted exactly, and a question says which one it wants."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stillroom.verify.units import Unit, asks_for_percent, unfit_for, unit_asked_for, unit_at


def unit(text: str) -> Unit:
    found = unit_at(text, 0)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("km", "m", Fraction(1000)),
        ("square meters", "cm^2", Fraction(10_000)),
        ("litres", "cm³", Fraction(1000)),
        ("hours", "minutes", Fraction(60)),
        ("km/h", "m per second", Fraction(5, 18)),
        ("feet", "inches", Fraction(12)),
        ("$", "cents", Fraction(100)),
    ],
)
def test_units_are_converted_exactly(one: str, other: str, factor: Fraction) -> None:
    assert unit(one).dimensions == unit(other).dimensions
    assert unit(one).size / unit(other).size == factor


@pytest.mark.parametrize("text", ["apples", "x", "mmm", "", "per"])
def test_what_is_no_unit(text: str) -> None:
    assert unit_at(text, 0) is None


def test_a_question_says_which_unit_it_wants() -> None:
    asked = unit_asked_for("He runs 20 minutes a day. How many more hours is that in a month?")
    assert asked is not None
    assert asked.name == "hours"
    assert unit_asked_for("How many apples are left?") is None
    hours, cents = unit("hours"), unit("cents")
    assert unfit_for("He runs for 2 hours. How long is that?", hours) == ""
    assert "asks for minutes" in unfit_for("He runs for 2 hours. How many minutes is that?", hours)
    assert "does not speak" in unfit_for("How long does he run?", hours)
    assert "another unit" in unfit_for("One costs $2, another 50 cents. How much are both?", cents)
    assert unfit_for("How much is $x$ and $y$ in cents?", cents) == ""


def test_a_question_may_ask_for_a_percentage_or_only_speak_of_one() -> None:
    assert asks_for_percent("What percentage of the eggs broke?")
    assert asks_for_percent("By what % did it rise?")
    assert not asks_for_percent("20% of the eggs broke, and 5 percent were lost. How many are left?")
