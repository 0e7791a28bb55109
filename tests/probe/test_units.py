from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.probe.units import accounts_by_unit, units_of
from stillroom.store.siblings import Pair


def pairs_of(*rows: tuple[str, str, str]) -> list[Pair]:
    """Of (question, first, second)."""
    return [Pair(f"call_{number}", question, "[]", *replies) for number, (question, *replies) in enumerate(rows)]


def test_pairs_that_share_a_reply_to_one_question_are_a_unit() -> None:
    rows = [("q", "one", "two"), ("q", "three", "four"), ("q", "five", "two"), ("q", "four", "six")]
    assert units_of(pairs_of(*rows)).tolist() == [0, 1, 0, 1]


def test_sharing_is_handed_on() -> None:
    rows = [("q", "one", "two"), ("q", "three", "four"), ("q", "two", "three")]
    assert units_of(pairs_of(*rows)).tolist() == [0, 0, 0]


def test_other_questions_are_other_units() -> None:
    assert units_of(pairs_of(("q", "yes", "no"), ("r", "yes", "no"))).tolist() == [0, 1]


def test_white_space_makes_no_other_reply() -> None:
    assert units_of(pairs_of(("q", "a reply", "two"), ("q", "a  reply\n", "three"))).tolist() == [0, 0]


def test_words_do() -> None:
    assert units_of(pairs_of(("q", "a reply", "two"), ("q", "areply", "three"))).tolist() == [0, 1]


def test_identical_siblings_link_nothing_new() -> None:
    assert units_of(pairs_of(("q", "a", "b"), ("q", "c", "c"), ("q", "d", "e"))).tolist() == [0, 1, 2]


def test_no_pairs_no_units() -> None:
    assert units_of([]).tolist() == []


texts = st.sampled_from("abcdef")


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("qr"), texts, texts), max_size=12), st.data())
def test_units_do_not_depend_on_which_reply_is_first(rows: list[tuple[str, str, str]], data: st.DataObject) -> None:
    turned = [(q, second, first) if data.draw(st.booleans()) else (q, first, second) for q, first, second in rows]
    assert units_of(pairs_of(*rows)).tolist() == units_of(pairs_of(*turned)).tolist()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("qr"), texts, texts), max_size=12))
def test_no_two_units_share_a_reply_and_numbers_have_no_gaps(rows: list[tuple[str, str, str]]) -> None:
    units = units_of(pairs_of(*rows)).tolist()
    unit_of_reply: dict[tuple[str, str], int] = {}
    for unit, (question, *replies) in zip(units, rows, strict=True):
        for reply in replies:
            assert unit_of_reply.setdefault((question, reply), unit) == unit
    assert list(dict.fromkeys(units)) == list(range(len(set(units))))


def test_a_unit_names_all_who_may_have_been_served_its_words() -> None:
    named = accounts_by_unit(np.array([0, 1, 0, 0]), ["b", "b", "a", "b"])
    assert named == {0: ("a", "b"), 1: ("b",)}
