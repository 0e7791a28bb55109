"""What the base student is pre-trained on: the language of the questions, copying, restating, single steps, bare
answers. No lesson puts two steps together: an item of a list of single steps never uses the result of another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random

from reasoning_gym.arithmetic.leg_counting import ANIMALS  # type: ignore[import-untyped]

from stillroom.base.records import Message, Trace
from stillroom.classroom.families import FAMILIES
from stillroom.classroom.families.clock import PARTS, clock, later
from stillroom.classroom.families.legs import herd, product
from stillroom.classroom.families.words import NAMES, THINGS
from stillroom.classroom.problem import Problem

Pair = tuple[str, str]
"""What is said to the model, and what it should say."""

ITEMS = 10
"""Single steps in one lesson."""
PEOPLE = 8
"""Names in one lesson of looking up."""


def lessons(count: int, seed: int) -> Iterator[Trace]:
    """`count` lessons as traces, the same for the same seed."""
    random = Random(f"lessons/{seed}")
    kinds = list(WEIGHTS)
    for number in range(count):
        kind = random.choices(kinds, weights=[WEIGHTS[kind] for kind in kinds])[0]
        asked, said = kind(random)
        yield Trace(
            question_id=f"lesson-{seed}-{number:07d}",
            messages=(Message(role="user", content=asked), Message(role="assistant", content=said)),
            source=f"stillroom classroom, {kind.__name__}",
            licence="Apache-2.0",
        )


def single_steps(random: Random) -> Pair:
    """Sums, differences, products, herds and times: one step each, with nothing in common."""
    steps: list[str] = []
    while len(steps) < ITEMS:
        step = random.choice(SINGLE_STEPS)(random)
        if not steps or not _uses(step, steps[-1]):
            steps.append(step)
    return ask_each(steps), "\n".join(steps)


def ask_each(steps: list[str]) -> str:
    """The question whose answer is these single steps, a line each."""
    return "Work out each: " + ", ".join(map(_asked, steps))


def _asked(step: str) -> str:
    """A single step without its result: what stands before the first `:` of a herd, or before the `=`."""
    head, colon, _ = step.partition(": ")
    return head if colon else step.partition("=")[0]


def _uses(step: str, before: str) -> bool:
    result = before.rpartition("=")[2]
    return any(step.startswith(f"{result}{sign}") for sign in "+-*")


def one_sum(random: Random) -> str:
    left = random.randrange(100)
    right = random.randrange(100 - left)
    return f"{left}+{right}={left + right}"


def one_difference(random: Random) -> str:
    left = random.randrange(100)
    right = random.randrange(left + 1)
    return f"{left}-{right}={left - right}"


def one_product(random: Random) -> str:
    left, right = random.randint(1, 9), random.randint(0, 9)
    return f"{left}*{right}={left * right}"


def one_herd(random: Random) -> str:
    return product(random.randint(1, 9), random.choice(list(ANIMALS)))


def one_time(random: Random) -> str:
    step = later(random.randrange(24 * 12) * 5, random.randint(1, 11) * 5)
    return f"{random.choice(PARTS)} {step}" if random.random() < 0.2 else step


SINGLE_STEPS: tuple[Callable[[Random], str], ...] = (
    one_sum, one_sum, one_sum, one_difference, one_difference, one_difference,
    one_product, one_herd, one_time, one_time,
)  # fmt: skip


def look_up(random: Random) -> Pair:
    """Who follows whom: each name is looked up by itself, and none is the answer to the one before."""
    path = random.sample(NAMES, PEOPLE)
    links = list(itertools.pairwise(path))
    random.shuffle(links)
    asked: list[tuple[str, str]] = []
    while len(asked) < ITEMS:
        link = random.choice(links)
        if not asked or asked[-1][1] != link[0]:
            asked.append(link)
    return f"{tell(links)}. Look up each: {', '.join(giver for giver, _ in asked)}", tell(asked)


def tell(links: list[tuple[str, str]]) -> str:
    return ", ".join(f"{first} to {second}" for first, second in links)


def copy(random: Random) -> Pair:
    """The same text again: a question, words in no order, or words and numbers in no order."""
    text = random.choice([_question, _words, _words, _jumble])(random)
    return f"Say again: {text}", text


def _question(random: Random) -> str:
    return _problem(random).text


def _words(random: Random) -> str:
    """Different words, which only a look back can tell."""
    return " ".join(random.sample(WORDS, random.randint(8, 30)))


WORDS = (*NAMES, *THINGS, *PARTS, *(word for animal in ANIMALS for word in animal.split()))


def _jumble(random: Random) -> str:
    pieces: list[Callable[[], str]] = [
        lambda: str(random.randrange(100)),
        lambda: str(random.randrange(100)),
        lambda: random.choice(NAMES),
        lambda: random.choice(THINGS),
        lambda: random.choice(PARTS),
        lambda: clock(random.randrange(24 * 12) * 5),
        lambda: herd(random.randint(1, 9), random.choice(list(ANIMALS))),
        lambda: f"{random.randrange(100)}{random.choice('+-*')}{random.randrange(100)}",
    ]
    joint = random.choice([" ", ", ", "\n", ": "])
    return joint.join(random.choice(pieces)() for _ in range(random.randint(8, 20)))


def restate(random: Random) -> Pair:
    """A question in short, in its own order."""
    problem = _problem(random)
    return f"Say in short: {problem.text}", FAMILIES[problem.family].restate(problem)


def bare_answer(random: Random) -> Pair:
    """A question and its answer, with no step between them."""
    problem = _problem(random)
    return problem.text, problem.answer


def _problem(random: Random) -> Problem:
    """A problem of the training split."""
    while True:
        problem = random.choice(list(FAMILIES.values())).draw(random)
        if problem.split == "train":
            return problem


WEIGHTS: dict[Callable[[Random], Pair], float] = {
    single_steps: 0.42,
    look_up: 0.16,
    copy: 0.20,
    restate: 0.12,
    bare_answer: 0.10,
}
