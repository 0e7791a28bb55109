"""Colleagues and pupils, with a name and a card each, behind one address; and others who would look like them."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from scipy.sparse import csr_matrix
from tests.watch.call_log import (
    PEOPLE,
    WORKDAYS,
    Customers,
    Said,
    When,
    families,
    one_address,
    own_card,
    questions,
    texts,
)

from stillroom.watch.links.shards import popular_share

DAYS_OF_AN_OFFICE: Mapping[str, When] = {
    "two days of trying things out": lambda _, chance: (
        chance.choice([15, 16] if chance.random() < 0.8 else WORKDAYS) + chance.uniform(9, 18) / 24
    ),
    "one afternoon of a course": lambda _, chance: 17 + chance.uniform(13, 16) / 24,
    "a week of holidays": lambda _, chance: (
        chance.choice([day for day in WORKDAYS if not 7 <= day < 14]) + chance.uniform(9, 17) / 24
    ),
    "three shifts": lambda person, chance: chance.choice(WORKDAYS) + (8 * (person % 3) + chance.uniform(0, 8)) / 24,
}


@pytest.mark.parametrize("when", DAYS_OF_AN_OFFICE.values(), ids=DAYS_OF_AN_OFFICE)
def test_what_colleagues_do_at_one_time_is_no_campaign(customers: Customers, when: When) -> None:
    assert customers.findings(one_address(texts(1), own_card, when)) == []


def popular(spread: float = 0.6) -> Said:
    """Some questions everybody stumbles over; the less `spread`, the more others."""
    chance = random.Random(1)
    return lambda *_: questions()[min(int(3 * chance.paretovariate(spread)), len(questions()) - 1)]


def set_by_a_teacher(count: int) -> Said:
    chance = random.Random(2)
    return lambda *_: questions()[chance.randrange(count)]


def divided_after(first: int) -> Said:
    """The same questions at first, so as to look like a class; then each a part of its own."""
    return lambda person, number: questions()[number if number < first else first + person * 30 + number]


@pytest.mark.parametrize(
    "said", [popular(), set_by_a_teacher(150), set_by_a_teacher(40)], ids=["popular", "150 were set", "40 were set"]
)
def test_a_class_is_no_campaign(customers: Customers, said: Said) -> None:
    assert customers.findings(one_address(said, own_card)) == []


def test_a_class_that_pays_with_one_card_is_shown_with_what_is_left(customers: Customers) -> None:
    (found,) = customers.findings(one_address(popular(0.4), lambda _: "one card"))
    (explained,) = (each for each in found.explanations if each.name == "class")
    assert explained.is_ruled_out
    assert explained.sentence.endswith("Left: payment.")


def test_questions_that_everybody_asks_hide_no_division(customers: Customers) -> None:
    (found,) = customers.findings(one_address(divided_after(12), own_card))
    assert len(found.accounts) == PEOPLE
    assert families(found) == {"network", "client", "content"}
    assert "class" not in {each.name for each in found.explanations}


def test_what_is_popular_is_counted_in_what_was_asked() -> None:
    by_chance = csr_matrix([[1, 1, 0, 0, 0, 0], [0, 0, 5, 1, 0, 0], [1, 0, 0, 0, 1, 0]])
    assert popular_share(by_chance, 1_000) == 0
    all_ask_one = csr_matrix([[1, 0, 0, 0], [9, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]])
    assert popular_share(all_ask_one, 1_000) == 4 / 7
    assert popular_share(csr_matrix((3, 4)), 1_000) == 0
    with pytest.raises(ValueError, match="a bank of 4"):
        popular_share(all_ask_one, 3)
