"""Defaults by a student's size: those that docs/train.md shows, with their sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stillroom.train.defaults import LEARNING_RATES, LORA_FACTOR, RATE_OF_LARGER, default_learning_rate

DOCS = Path(__file__).parents[2] / "docs" / "train.md"
NUMBERS = {"million": 10**6, "billion": 10**9}


def test_larger_students_learn_more_slowly() -> None:
    sizes = (1_400_000, 135_000_000, 500_000_000, 1_500_000_000, 7_000_000_000)
    rates = [default_learning_rate(size) for size in sizes]
    assert rates == sorted(set(rates), reverse=True)
    assert [default_learning_rate(size, with_lora=True) for size in sizes] == pytest.approx(
        [10 * rate for rate in rates]
    )


def test_the_documented_table_is_the_one_in_force() -> None:
    section = DOCS.read_text("utf-8").partition("\n## Defaults\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    limits = {row[0]: row[1:3] for row in rows if re.fullmatch(r"more|\d+ [mb]illion", row[0])}
    expected = [*LEARNING_RATES, (None, RATE_OF_LARGER)]
    assert len(limits) == len(expected)
    for (words, (full, lora)), (limit, rate) in zip(limits.items(), expected, strict=True):
        number, _, unit = words.partition(" ")
        assert (int(number) * NUMBERS[unit] if unit else None) == limit
        assert float(full) == rate
        assert float(lora) == pytest.approx(rate * LORA_FACTOR)
