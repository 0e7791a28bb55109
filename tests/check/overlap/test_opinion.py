from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from stillroom.base.errors import DataError
from stillroom.check.overlap.opinion import by_embedding

Made = Callable[..., Any]

EXAMINED = (
    "A family of 6 (2 adults and 4 kids) are to divide a watermelon such that each adult gets a slice that is twice as"
    " big as that of each kid. What percentage of the watermelon does each adult get?"
)
REWORDED = (
    "Two adults share a watermelon with 4 children, 6 people in all. An adult's piece is double the size of a child's"
    " piece. Which percentage of the melon is one adult's share?"
)
CLEAN = "Natalia sold clips to 48 of her friends in April, and half as many in May. How many clips did she sell?"


class Opinion:
    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        self.asked += pairs
        return [self.answer] * len(pairs)


def test_a_doubtful_pair_is_contaminated_where_the_opinion_says_so(search: Made) -> None:
    assert search([REWORDED, CLEAN], [EXAMINED]).rows == []
    opinion = Opinion(True)
    result = search([REWORDED, CLEAN], [EXAMINED], second_opinion=opinion)
    assert opinion.asked == [(REWORDED, EXAMINED)]
    assert result.pairs == [("q0", "near_copy", "e0")]
    assert (result.rows[0]["opinion"], result.rows[0]["action"]) == ("same", "left_out")


def test_a_doubtful_pair_is_not_listed_where_the_opinion_is_against_it(search: Made) -> None:
    opinion = Opinion(False)
    assert search([REWORDED], [EXAMINED], second_opinion=opinion).rows == []
    assert opinion.asked == [(REWORDED, EXAMINED)]


def test_a_rewording_that_is_not_sure_stays_where_the_opinion_is_against_it(search: Made) -> None:
    reworded = (
        "A watermelon is for a family of 6, 2 adults and 4 kids. Each adult's slice is to be twice as big as a kid's"
        " slice. What percentage of the watermelon is the slice of an adult?"
    )
    alone = search([reworded], [EXAMINED])
    assert alone.pairs == [("q0", "near_copy", "e0")]
    opinion = Opinion(False)
    result = search([reworded], [EXAMINED], second_opinion=opinion)
    if alone.rows[0]["score"] < 0.6:
        assert [(row["opinion"], row["action"]) for row in result.rows] == [("different", "kept")]
    else:
        assert opinion.asked == []


def test_a_copy_needs_no_opinion(search: Made) -> None:
    opinion = Opinion(False)
    result = search([EXAMINED], [EXAMINED], second_opinion=opinion)
    assert (opinion.asked, result.rows[0]["action"]) == ([], "left_out")


def test_an_opinion_must_answer_every_pair(search: Made) -> None:
    with pytest.raises(DataError, match="0 answers to 1 pair"):
        search([REWORDED], [EXAMINED], second_opinion=lambda _: [])


def test_an_embedding_is_an_opinion() -> None:
    vectors = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.0, 1.0], "zero": [0.0, 0.0]}
    opinion = by_embedding(lambda texts: np.array([vectors[text] for text in texts]), at_least=0.9)
    assert opinion([("a", "b"), ("a", "c"), ("a", "zero")]) == [True, False, False]
