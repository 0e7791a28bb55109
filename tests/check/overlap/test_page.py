"""docs/overlap.md says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stillroom.check.overlap import duplicates, rules, table
from stillroom.check.overlap.hits import REASON_OF
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.store.schemas import OVERLAP

PAGE = (Path(__file__).parents[3] / "docs" / "overlap.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_the_rules_and_their_reasons() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| `(\w+)`", PAGE, re.MULTILINE))
    assert listed == dict(REASON_OF)


def test_the_columns() -> None:
    columns = PAGE[PAGE.index("| column | type |") : PAGE.index("`check.json` has")]
    named = [
        name for row in re.findall(r"^\|([^|]*`[^|]*)\|", columns, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert sorted(named) == sorted(OVERLAP.names)


@pytest.mark.parametrize(
    "said",
    [
        f"`near` ({OverlapSettings().near}) is the share",
        f"from {rules.ALIKE} on, with {rules.MOSTLY_SAME_NUMBERS:.0%} of the numbers".replace("%", " %"),
        f"must be the same for {rules.SHORT_ALIKE:.0%} ({rules.SHORT_ALIKE_WITH_NUMBERS:.0%}".replace("%", " %"),
        f"weigh at least {rules.QUOTED:.0f} together",
        f"or that weigh {rules.LONG_QUOTED:.0f}",
        f"{rules.SAME_SKELETON:.0%} of them in common, or {rules.WHOLE_SKELETON:.0%}".replace("%", " %"),
        f"with a likeness below {table.SURE}, and about pairs from {rules.IN_DOUBT} on",
        "runs of six words that more than eight questions share",
        "A question of fewer than eight words has no near duplicates",
    ],
)
def test_the_thresholds(said: str) -> None:
    assert said in WORDS
    assert (duplicates.FRAME, duplicates.MOST_ALIKE, duplicates.FEWEST_WORDS) == (6, 8, 8)
