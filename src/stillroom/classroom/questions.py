"""The classroom's questions: drawn by seed, spread evenly over the families, train and exam disjoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from stillroom.base.canonical import digest
from stillroom.base.errors import RecipeError
from stillroom.base.records import Message, Question
from stillroom.classroom.families import FAMILIES
from stillroom.classroom.problem import Problem, Split


def problems(count: int, seed: int, split: Split, families: Sequence[str] | None = None) -> Iterator[Problem]:
    """`count` different problems of one split, the families in turn. A longer list starts with the shorter one.

    Raises RecipeError for a family that is not there.
    """
    chosen = list(families or FAMILIES)
    for name in chosen:
        if name not in FAMILIES:
            raise RecipeError(f"The classroom has no family {name!r}.", f"It has {', '.join(FAMILIES)}.")
    random = Random(f"classroom/{split}/{seed}")
    seen: set[str] = set()
    while len(seen) < count:
        problem = FAMILIES[chosen[len(seen) % len(chosen)]].draw(random)
        identity = _id(problem)
        if problem.split == split and identity not in seen:
            seen.add(identity)
            yield problem


def questions(count: int, seed: int, split: Split, families: Sequence[str] | None = None) -> Iterator[Question]:
    """The same as Question rows."""
    for problem in problems(count, seed, split, families):
        yield Question(
            id=_id(problem),
            messages=(Message(role="user", content=problem.text),),
            answer=problem.answer,
            kind=problem.kind,
            source="stillroom classroom",
            licence="Apache-2.0",
            split=split,
            family=problem.family,
            meta={"parameters": problem.parameters}
            | ({"task": problem.meta["task"], "entry": problem.meta["entry"]} if problem.kind == "task" else {}),
        )


def _id(problem: Problem) -> str:
    return f"{problem.family}-{digest([problem.family, problem.parameters])[7:19]}"
