"""Is the suspect the teacher? Asked of the teacher itself, and of models that are not it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from tests.probe.drawn_teacher import (
    QUESTIONS,
    Draw,
    another_teacher,
    answers,
    colder,
    copies_the_question,
    one_answer,
    siblings,
    teacher,
)

from stillroom.base.errors import DataError
from stillroom.probe.closeness import MARGIN, closeness
from stillroom.store.siblings import Answer

THIRDS = answers(teacher, 2)


@pytest.mark.parametrize("seed", range(10, 16))
def test_the_teacher_itself_is_found_to_be_no_farther_than_itself(seed: int) -> None:
    found = closeness(siblings(seed), answers(teacher, seed + 100), answers(teacher, seed + 200))
    assert found.verdict == "indistinguishable"
    assert abs(found.difference) < MARGIN
    assert found.low < found.difference < found.high
    assert (found.teacher, found.questions, found.margin) == (1.0, QUESTIONS, MARGIN)


def test_asked_with_less_chance_the_teacher_comes_nearer_and_is_still_found() -> None:
    found = closeness(siblings(), answers(colder, 3), THIRDS)
    assert found.verdict == "indistinguishable"
    assert found.difference > 0.1


@pytest.mark.parametrize("of", [another_teacher, copies_the_question, one_answer])
def test_who_is_not_the_teacher_is_farther(of: Draw) -> None:
    found = closeness(siblings(), answers(of, 3), THIRDS)
    assert found.verdict == "farther"
    assert found.suspect < 0.75
    assert found.suspect == pytest.approx(1 + found.difference)


def reworded(question: int, draw: Random) -> str:
    return teacher(question, draw).replace("word", "term")


def hotter(question: int, draw: Random) -> str:
    return teacher(question, draw, (0.34, 0.33, 0.33))


@pytest.mark.parametrize("of", [reworded, hotter])
def test_a_proxy_that_rewords_or_asks_with_more_chance_is_not_found(of: Draw) -> None:
    """As the documentation says: farther means that it does not pass on the teacher's words, and no more."""
    assert closeness(siblings(), answers(of, 3), THIRDS).verdict == "farther"


def test_the_siblings_order_changes_nothing() -> None:
    pairs = siblings()
    swapped = [replace(pair, first=pair.second, second=pair.first) for pair in pairs]
    assert closeness(swapped, answers(another_teacher, 3), THIRDS) == closeness(
        pairs, answers(another_teacher, 3), THIRDS
    )


def test_several_samples_and_several_pairs_of_a_question_are_one_question() -> None:
    pairs = siblings() + [replace(pair, pair_id=f"again {pair.pair_id}") for pair in siblings(8)]
    found = closeness(pairs, answers(teacher, 3, samples=3), THIRDS)
    assert found.questions == QUESTIONS
    assert found.verdict == "indistinguishable"


def cut(rows: list[Answer], words: int) -> list[Answer]:
    return [replace(row, text=" ".join(row.text.split()[:words]), finish_reason="length") for row in rows]


def test_the_teacher_with_a_smaller_limit_of_tokens_is_not_farther_for_that() -> None:
    whole = answers(teacher, 3)
    assert closeness(siblings(), cut(whole, 9), THIRDS).verdict == "indistinguishable"
    ended_there = [replace(row, finish_reason="stop") for row in cut(whole, 9)]
    assert closeness(siblings(), ended_there, THIRDS).verdict == "farther"


def test_nor_is_one_that_goes_on_where_the_siblings_were_cut() -> None:
    longer = [replace(row, text=row.text + " and so on" * 30) for row in answers(teacher, 3)]
    assert closeness(siblings(), longer, THIRDS).verdict == "indistinguishable"


def test_few_questions_decide_nothing() -> None:
    few = {"questions": 20}
    found = closeness(siblings(**few), answers(one_answer, 3, **few), answers(teacher, 2, **few))
    assert found.verdict == "undecided"
    assert closeness(siblings(questions=1), answers(teacher, 3), THIRDS).verdict == "undecided"


def test_a_teacher_that_says_to_all_the_same_lets_nothing_be_told() -> None:
    same = [replace(pair, first="I cannot say.", second="I cannot say.") for pair in siblings()]
    found = closeness(same, answers(teacher, 3), answers(one_answer, 2))
    assert found.verdict == "undecided"


def test_answers_that_failed_are_no_answers() -> None:
    failed = [replace(row, text="", finish_reason="failed: http_500") for row in answers(teacher, 3)[:50]]
    refused = [replace(row, finish_reason="refused: content_filter") for row in answers(teacher, 3)[50:60]]
    found = closeness(siblings(), failed + refused + answers(teacher, 3)[60:], THIRDS)
    assert found.questions == QUESTIONS - 60
    with pytest.raises(DataError, match="third draw"):
        closeness(siblings(), failed, THIRDS)
