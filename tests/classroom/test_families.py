"""The classroom's questions: right answers, several steps, no constant guess, nothing in two splits."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import pytest
import reasoning_gym  # type: ignore[import-untyped]

from stillroom.base.errors import RecipeError
from stillroom.classroom.families import FAMILIES
from stillroom.classroom.questions import problems, questions
from stillroom.verify import verify

NAMES = list(FAMILIES)


def minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def true_step(line: str) -> bool:
    """Whether a written step is right, worked out from its text alone."""
    left, _, result = line.rpartition("=")
    left = left.rpartition(": ")[2]
    if time := re.fullmatch(r"(\d\d:\d\d)\+(\d+)", left):
        return (minutes(time[1]) + int(time[2])) % 1440 == minutes(result)
    numbers = re.fullmatch(r"(\d+)([-+*])(\d+)", left)
    assert numbers, line
    a, sign, b = int(numbers[1]), numbers[2], int(numbers[3])
    return {"+": a + b, "-": a - b, "*": a * b}[sign] == int(result)


@pytest.mark.parametrize("family", NAMES)
def test_a_solution_has_several_true_steps_and_ends_at_the_answer(family: str) -> None:
    random = Random(3)
    for problem in problems(150, 5, "train", [family]):
        steps = [line for line in FAMILIES[family].solve(problem, random).splitlines() if "=" in line]
        assert len(steps) >= 3
        assert steps[-1].rpartition("=")[2] == problem.answer
        assert all(map(true_step, steps))


@pytest.mark.parametrize("family", NAMES)
def test_one_question_is_worked_in_more_than_one_way(family: str) -> None:
    random = Random(4)
    for problem in problems(20, 6, "train", [family]):
        assert len({FAMILIES[family].solve(problem, random) for _ in range(30)}) > 1


@pytest.mark.parametrize("family", NAMES)
def test_no_constant_guess_reaches_fifteen_percent(family: str) -> None:
    answers = Counter(problem.answer for problem in problems(2000, 7, "exam", [family]))
    assert answers.most_common(1)[0][1] < 0.15 * 2000


def test_train_and_exam_share_no_problem_whoever_draws() -> None:
    train = {question.id for seed in range(3) for question in questions(1500, seed, "train")}
    exam = {question.id for seed in range(3) for question in questions(500, seed, "exam")}
    assert not train & exam
    texts = {q.messages[0].content for seed in range(3) for q in questions(1500, seed, "train")}
    assert not texts & {q.messages[0].content for seed in range(3) for q in questions(500, seed, "exam")}


def test_questions_are_the_same_for_a_seed_and_a_longer_list_starts_with_the_shorter() -> None:
    short, long = list(questions(20, 1, "train")), list(questions(52, 1, "train"))
    assert long[:20] == short
    assert short != list(questions(20, 2, "train"))
    assert Counter(question.family for question in long) == dict.fromkeys(NAMES, 13)
    assert len({question.id for question in long}) == 52


@pytest.mark.parametrize("family", NAMES)
def test_the_verifier_takes_the_answer_and_no_other(family: str) -> None:
    for question in questions(5, 8, "train", [family]):
        assert question.answer is not None
        assert verify(question, question.answer).verdict == "right"
        assert verify(question, "Nobody 12345").verdict == "wrong"


def test_the_gym_questions_are_the_gyms_own() -> None:
    for question in questions(10, 9, "train", ["leg_counting", "chain_sum"]):
        scorer = reasoning_gym.get_score_answer_fn(question.meta["task"])
        assert scorer(question.answer, question.meta["entry"]) == 1.0
        assert question.messages[0].content == question.meta["entry"]["question"].strip()


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(RecipeError, match="relais"):
        list(questions(1, 0, "train", ["relais"]))


def test_a_chain_never_leaves_the_numbers_that_one_can_know() -> None:
    for problem in problems(200, 2, "train", ["chain_sum", "leg_counting", "shop"]):
        for line in FAMILIES[problem.family].solve(problem, Random(1)).splitlines():
            if "=" in line:
                assert 0 <= int(line.rpartition("=")[2]) < 100
