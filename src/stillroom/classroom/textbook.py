"""What the teacher learns from: worked solutions in many words and orders, over the base student's lessons."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from stillroom.base.records import Message, Trace
from stillroom.classroom.families import FAMILIES
from stillroom.classroom.lessons import lessons

SHARE_OF_LESSONS = 0.25


def worked_solutions(count: int, seed: int) -> Iterator[Trace]:
    """`count` solutions of problems of the training split, the families in turn."""
    random = Random(f"textbook/{seed}")
    families = list(FAMILIES.values())
    number = 0
    while number < count:
        family = families[number % len(families)]
        problem = family.draw(random)
        if problem.split != "train":
            continue
        yield Trace(
            question_id=f"solution-{seed}-{number:07d}",
            messages=(
                Message(role="user", content=problem.text),
                Message(role="assistant", content=problem.answer, reasoning=family.solve(problem, random)),
            ),
            source="stillroom classroom, worked solutions",
            licence="Apache-2.0",
        )
        number += 1


def textbook(count: int, seed: int) -> Iterator[Trace]:
    """`count` traces in all. Bare answers are left out: a teacher reasons."""
    solutions = count - round(count * SHARE_OF_LESSONS)
    yield from worked_solutions(solutions, seed)
    left = count - solutions
    for lesson in lessons(2 * left, seed + 1):
        if left and not lesson.source.endswith("bare_answer"):
            yield lesson
            left -= 1
