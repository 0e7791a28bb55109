"""Texts and client models of our own, for whoever has no real ones at hand: coarser, and free to ship."""

from __future__ import annotations

import numpy as np

_NAMES = [
    "Ada",
    "Boris",
    "Chen",
    "Dalia",
    "Emeka",
    "Farah",
    "Goran",
    "Hana",
    "Ivan",
    "Jamila",
    "Kofi",
    "Lena",
    "Marta",
    "Noor",
    "Olga",
    "Pavel",
    "Quinn",
    "Rosa",
    "Sven",
    "Tariq",
    "Uma",
    "Viktor",
    "Wanda",
    "Ximena",
    "Yusuf",
    "Zora",
]
_THINGS = [
    "apples",
    "bolts",
    "candles",
    "drawings",
    "eggs",
    "flowers",
    "grapes",
    "hats",
    "ink",
    "bottles",
    "jars",
    "kites",
    "lamps",
    "marbles",
    "notebooks",
    "oranges",
    "pencils",
    "quilts",
    "ribbons",
    "stamps",
    "tiles",
    "umbrellas",
    "vases",
    "whistles",
    "zippers",
]
_PLACES = [
    "market",
    "school",
    "workshop",
    "bakery",
    "library",
    "harbour",
    "station",
    "garden",
    "museum",
    "farm",
    "office",
    "theatre",
]
_OPENINGS = (
    "{name} has {a} {things} and gets {b} more at the {place}.",
    "At the {place}, {name} sells {things} for ${a} each and has sold {b} of them by noon.",
    "{name} packs {things} into boxes of {a} and fills {b} boxes at the {place} every day.",
    "A shelf of the {place} holds {a} {things}, and {name} has put up {b} such shelves.",
    "{name} walks {a} minutes to the {place} to fetch {b} {things}.",
    "Every week the {place} orders {a} {things} from {name}, who makes {b} of them a day.",
    "Of the {a} {things} at the {place}, {name} takes {b} home.",
    "{name} paid ${a} for {b} {things} and carried them to the {place}.",
)
_TURNS = (
    "Then {other} takes away {c} of them.",
    "{other} brings {c} times as many.",
    "A third of them turn out to be broken, and {other} replaces {c}.",
    "On the next day {other} doubles what is there, but loses {c}.",
    "{other}, who came late, wants to share all of them with {c} friends.",
    "Half of what is left goes to {other} and {c} neighbours.",
    "It rains, so {other} only does {c} percent of the work.",
    "{other} needs {c} for a cousin's party.",
    "The price rises by {c} percent when {other} asks.",
    "For each dozen, {other} adds {c} as a gift.",
)
_QUESTIONS = (
    "How many {things} are there in the end?",
    "How many {things} does {name} have now?",
    "How much money does {other} owe to {name}?",
    "How many days will the {things} last?",
    "What is the difference between what {name} and {other} have?",
    "How many {things} does each of them get, and how many are left over?",
)
_TASKS = (
    "Summarise the minutes of our {place} committee in five points, for people who were not there.",
    "Translate this notice about {things} into plain language and keep the dates.",
    "Which of these two descriptions of {things} would you put on the door of a {place}, and why?",
    "Write a polite reply to a customer of the {place} whose {things} arrived broken.",
    "Explain to a child how {things} are made.",
    "Find the error in this query over the table of {things} and say how to test the repair.",
    "Draft a plan for moving a {place} with all its {things} within one weekend.",
    "Turn this list of {things} into a table with one row for each supplier.",
    "Give three names for a newsletter about {things} at the {place}.",
    "Say in one sentence what this review of our {things} complains about.",
    "Write a function that groups {things} by the {place} they were seen at.",
    "Suggest how to sort {things} when two have the same label.",
)


def word_problems(count: int) -> list[str]:
    """Different word problems, the same ones at every call."""
    generator = np.random.default_rng(20261012)
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [_pick(generator, _OPENINGS)]
        parts += [_pick(generator, _TURNS) for _ in range(generator.integers(1, 4))]
        parts.append(_pick(generator, _QUESTIONS))
        name, other = generator.permutation(len(_NAMES))[:2]
        found[
            " ".join(parts).format(
                name=_NAMES[name],
                other=_NAMES[other],
                things=_pick(generator, _THINGS),
                place=_pick(generator, _PLACES),
                a=generator.integers(2, 90),
                b=generator.integers(2, 60),
                c=generator.integers(2, 30),
            )
        ] = None
    return list(found)


def tasks() -> list[str]:
    """Requests as people write them, all different."""
    return [
        task.format(things=thing, place=_PLACES[(row * 5 + column) % len(_PLACES)])
        for row, task in enumerate(_TASKS)
        for column, thing in enumerate(_THINGS)
    ]


def _pick(generator: np.random.Generator, choices: tuple[str, ...] | list[str]) -> str:
    return choices[int(generator.integers(len(choices)))]
