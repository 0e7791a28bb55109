"""Chains of sums, from reasoning-gym: 41 - 12 + 35 - 20, with every running total from 0 to 99."""

from __future__ import annotations

from random import Random

from stillroom.classroom.families.gym import draw_entry
from stillroom.classroom.problem import Family, Problem

NAME = "chain_sum"


def draw(random: Random) -> Problem:
    while True:
        entry = draw_entry(NAME, random, min_terms=4, max_terms=5, min_digits=2, max_digits=2)
        if all(0 <= total < 100 for total in _totals(_terms(entry["metadata"]["expression"]))):
            break
    return Problem(
        family=NAME,
        parameters={"expression": entry["metadata"]["expression"]},
        text=entry["question"].strip(),
        answer=entry["answer"],
        kind="task",
        meta={"task": NAME, "entry": entry},
    )


def _terms(expression: str) -> list[int]:
    words = expression.split()
    return [int(words[0]), *(int(sign + number) for sign, number in zip(words[1::2], words[2::2], strict=True))]


def _totals(terms: list[int]) -> list[int]:
    return [sum(terms[: position + 1]) for position in range(len(terms))]


def solve(problem: Problem, random: Random) -> str:
    terms = _terms(problem.parameters["expression"])
    opening = random.choice(["", f"start with {terms[0]}\n", f"{restate(problem)}\n"])
    lines = [f"{total}{term:+d}={total + term}" for total, term in zip(_totals(terms)[:-1], terms[1:], strict=True)]
    return opening + "\n".join(lines)


def restate(problem: Problem) -> str:
    expression: str = problem.parameters["expression"]
    return expression.replace(" ", "")


FAMILY = Family(NAME, draw, solve, restate)
