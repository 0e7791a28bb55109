"""Leg counting, from reasoning-gym: how many legs do 3 chickens, 5 beetles and 2 crabs have?"""

from __future__ import annotations

from random import Random

from reasoning_gym.arithmetic.leg_counting import ANIMALS  # type: ignore[import-untyped]

from stillroom.classroom.families.gym import draw_entry
from stillroom.classroom.problem import Family, Problem

NAME = "leg_counting"


def draw(random: Random) -> Problem:
    while True:
        entry = draw_entry(NAME, random, min_animals=3, max_animals=3, min_instances=1, max_instances=9)
        if entry["metadata"]["total_legs"] < 100:
            break
    return Problem(
        family=NAME,
        parameters=dict(sorted(entry["metadata"]["animals"].items())),
        text=entry["question"].strip(),
        answer=entry["answer"],
        kind="task",
        meta={"task": NAME, "entry": entry},
    )


def herd(count: int, animal: str) -> str:
    """As reasoning-gym writes it."""
    return f"{count} {animal}{'s' if count > 1 else ''}"


def product(count: int, animal: str) -> str:
    """The single step of this family."""
    return f"{herd(count, animal)}: {count}*{ANIMALS[animal]}={count * ANIMALS[animal]}"


def solve(problem: Problem, random: Random) -> str:
    animals = list(problem.meta["entry"]["metadata"]["animals"].items())
    products = [product(count, animal) for animal, count in animals]
    legs = [count * ANIMALS[animal] for animal, count in animals]
    lines = products[:1]
    total = legs[0]
    sums = []
    for number in legs[1:]:
        sums.append(f"{total}+{number}={total + number}")
        total += number
    if random.random() < 0.5:
        lines = products + sums
    else:
        for one, add in zip(products[1:], sums, strict=True):
            lines += [one, add]
    return "\n".join(lines)


def restate(problem: Problem) -> str:
    return ", ".join(herd(count, animal) for animal, count in problem.meta["entry"]["metadata"]["animals"].items())


FAMILY = Family(NAME, draw, solve, restate)
