"""docs/terms.md: its table is the ledger's, and what it shows of a recipe and of the command is true."""

from __future__ import annotations

import re
from pathlib import Path

from stillroom.terms.conditions import Conditions
from stillroom.terms.granting import grant_of
from stillroom.terms.ledger import read_ledger
from stillroom.terms.table import markdown_table

PAGE = Path("docs/terms.md").read_text(encoding="utf-8")


def test_the_table_is_up_to_date() -> None:
    assert PAGE.partition("## The ledger\n\n")[2] == markdown_table(read_ledger().values())


def test_the_terms_that_it_shows_grant_something() -> None:
    (terms,) = re.findall(r"^  terms: (.+)$", PAGE, re.MULTILINE)
    (host,) = re.findall(r"^  base_url: https://([^/]+)/v1$", PAGE, re.MULTILINE)
    grant = grant_of(terms, model="m", hosts=[host], permissions=(), permit=None)
    assert [each.id for each in grant.entries] == ["together", "llama-3.3"]


def test_the_conditions_that_it_names_are_fields() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE.partition("Conditions are data")[2].partition("`stillroom terms show")[0]))
    assert named | {"display_above"} == set(Conditions.model_fields)
