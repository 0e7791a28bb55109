"""What docs/testing.md says of traffic is what there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from stillroom.testing.traffic import BANKS, TWINS, Campaign
from stillroom.testing.traffic.extras import EXTRAS
from stillroom.testing.traffic.linked import FAMILIES
from stillroom.testing.traffic.questions import SOURCES

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2]
    table = section.partition("\n|---")[2].partition("\n\n")[0].splitlines()[1:]
    return [row.strip("|").split("|") for row in table]


def named(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_its_twins_are_all() -> None:
    assert [name for row in rows("Customers") for name in named(row[0])] == list(TWINS)


def test_its_fields_and_values_are_a_campaigns() -> None:
    table = {name: named(row[1]) for row in rows("Campaigns") for name in named(row[0])}
    assert {*table} == {field.name for field in fields(Campaign)}
    assert tuple(table["source"]) == SOURCES
    assert tuple(table["bank"]) == BANKS
    assert {*table["extras"]} == {*EXTRAS}
    assert {*table["families"]} >= FAMILIES
    assert {*table["families"]} - FAMILIES == {"in_step", "turns", "relay"}
