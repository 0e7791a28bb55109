"""Following a path: a parcel goes from hand to hand. Who has it after four times?"""

from __future__ import annotations

import itertools
from random import Random

from stillroom.classroom.families.words import NAMES
from stillroom.classroom.problem import Family, Problem

NAME = "relay"
PEOPLE = 8
THINGS = ("parcel", "letter", "ball", "ring")
TEXTS = (
    "A {thing} is passed on: {links}. The {thing} starts with {start} and is passed on {times} times. Who has it then?",
    "{start} has a {thing}. The {thing} is passed on {times} times: {links}. Who has it at the end?",
)


def draw(random: Random) -> Problem:
    path = random.sample(NAMES, PEOPLE)
    times = random.randint(3, 5)
    first = random.randrange(PEOPLE - times)
    links = list(itertools.pairwise(path))
    random.shuffle(links)
    return Problem(
        family=NAME,
        parameters={"path": path, "first": first, "times": times},
        text=random.choice(TEXTS).format(
            links=tell(links), thing=random.choice(THINGS), start=path[first], times=times
        ),
        answer=path[first + times],
        kind="exact",
        meta={"links": links},
    )


def tell(links: list[tuple[str, str]]) -> str:
    return ", ".join(hand_over(*link) for link in links)


def hand_over(giver: str, taker: str) -> str:
    """The single step of this family."""
    return f"{giver} to {taker}"


def solve(problem: Problem, random: Random) -> str:
    path, first, times = (problem.parameters[key] for key in ("path", "first", "times"))
    held = path[first : first + times + 1]
    steps = [hand_over(giver, taker) for giver, taker in itertools.pairwise(held)]
    if random.random() < 0.5:
        return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return f"{times} times from {held[0]}: " + ", ".join(f"{step} ({number})" for number, step in enumerate(steps, 1))


def restate(problem: Problem) -> str:
    start = problem.parameters["path"][problem.parameters["first"]]
    return f"{problem.parameters['times']} times from {start}: {tell(problem.meta['links'])}"


FAMILY = Family(NAME, draw, solve, restate)
