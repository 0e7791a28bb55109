"""Time arithmetic: a journey in parts, in minutes. When does it end?"""

from __future__ import annotations

from random import Random

from stillroom.classroom.families.words import NAMES
from stillroom.classroom.problem import Family, Problem

NAME = "clock"
PARTS = ("walks", "rides", "waits", "rests", "reads", "cooks")
TEXTS = (
    "At {start} {name} leaves home. {parts}. What time is it then? Answer as HH:MM.",
    "{name} starts at {start}. {parts}. When does this end? Answer as HH:MM.",
    "The clock shows {start}. {parts}. What does the clock show at the end? Answer as HH:MM.",
)


def draw(random: Random) -> Problem:
    start = random.randrange(24 * 12) * 5
    parts = [(part, random.randint(1, 11) * 5) for part in random.sample(PARTS, random.randint(3, 4))]
    name = random.choice(NAMES)
    text = random.choice(TEXTS).format(
        start=clock(start),
        name=name,
        parts=f"{name} {_listed([f'{part} {minutes} minutes' for part, minutes in parts])}",
    )
    return Problem(
        family=NAME,
        parameters={"start": start, "minutes": sorted(minutes for _, minutes in parts)},
        text=text,
        answer=clock(start + sum(minutes for _, minutes in parts)),
        kind="exact",
        meta={"parts": parts},
    )


def clock(minutes: int) -> str:
    """Minutes since midnight as HH:MM, past midnight too."""
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _listed(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}"


def later(start: int, minutes: int) -> str:
    """The single step of this family."""
    return f"{clock(start)}+{minutes}={clock(start + minutes)}"


def solve(problem: Problem, random: Random) -> str:
    named = random.random() < 0.5
    time = problem.parameters["start"]
    lines = []
    for part, minutes in problem.meta["parts"]:
        lines.append(f"{part}: {later(time, minutes)}" if named else later(time, minutes))
        time += minutes
    return "\n".join(lines)


def restate(problem: Problem) -> str:
    return ", ".join(
        [clock(problem.parameters["start"]), *(f"{part} {minutes}" for part, minutes in problem.meta["parts"])]
    )


FAMILY = Family(NAME, draw, solve, restate)
