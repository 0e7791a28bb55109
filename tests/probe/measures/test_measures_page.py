"""docs/probe-measures.md names every measure, and the numbers that they count by."""

from __future__ import annotations

import re
from pathlib import Path

from stillroom.probe.measures import MEASURES, PRIMARY, language_model, ngrams

PAGE = (Path(__file__).parents[3] / "docs" / "probe-measures.md").read_text(encoding="utf-8")


def test_the_table_has_every_measure_and_no_other() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(MEASURES)
    assert f"| `{PRIMARY}` |" in PAGE
    assert "what a plan takes unless it names another" in next(line for line in PAGE.split("\n") if PRIMARY in line)


def test_the_numbers_are_those_that_are_counted_by() -> None:
    assert f"+ {language_model.DOUBT:g} p_(n-1)(w | c')) / (count(c) + {language_model.DOUBT:g})" in PAGE
    assert f"{language_model.BACKGROUND_DOUBT:g} in place of {language_model.DOUBT:g}" in PAGE
    assert (language_model.ORDER, language_model.BACKGROUND_ORDER) == (4, 2)
    assert "a context `c` of up to four tokens" in PAGE
    assert "contexts of up to two tokens" in PAGE
    assert ngrams.LONGEST == 4
    assert "runs of one to four tokens" in PAGE
