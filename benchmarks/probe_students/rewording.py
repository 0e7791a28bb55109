"""Traces in other words, as somebody would write them who hides where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from benchmarks.probe_students.speaking import say
from benchmarks.probe_students.teaching import AS_THE_DEMO, BASE, teach

from stillroom.base.records import Message, Trace
from stillroom.classroom.families import FAMILIES
from stillroom.text.think import join_think, split_think

REWORD = "Say in other words: "
SOLUTIONS = 4000
"""Problems whose two solutions the rewriter learns from."""


def labels_moved_behind(reply: str) -> str:
    """The same steps with what names them behind them, and what is no step last: `buys: 15+10=25` is then
    `15+10=25, buys`."""
    split = split_think(reply)
    if split.reasoning is None:
        return reply
    steps, told = list[str](), list[str]()
    for line in split.reasoning.split("\n"):
        label, colon, step = line.partition(": ")
        (steps if "=" in line else told).append(f"{step}, {label}" if colon else line)
    return join_think("\n".join([*steps, *told]), split.answer)


def reworded_by_model(replies: Sequence[str], folder: Path) -> list[str]:
    """By a model of the classroom that learned to say a solution in another wording and order of the textbook's."""
    rewriter = folder / "rewriter"
    if not (rewriter / "train.json").exists():
        teach(list(_two_wordings(SOLUTIONS, 1002)), BASE, rewriter, epochs=2, settings=AS_THE_DEMO)
    splits = [split_think(reply) for reply in replies]
    said = say(rewriter / "student", [(f"{REWORD}{split.reasoning}", 0) for split in splits], 0.7, "reword")
    return [join_think(text, split.answer) for (text, _), split in zip(said, splits, strict=True)]


def _two_wordings(count: int, seed: int) -> Iterator[Trace]:
    random, families, number = Random(f"two wordings/{seed}"), list(FAMILIES.values()), 0
    while number < count:
        family = families[number % len(families)]
        problem = family.draw(random)
        one, other = family.solve(problem, random), family.solve(problem, random)
        if one != other and problem.split == "train":
            number += 1
            asked = Message(role="user", content=f"{REWORD}{one}")
            yield Trace(
                question_id=f"wording-{number:05d}",
                messages=(asked, Message(role="assistant", content=other)),
                source="stillroom classroom, two wordings",
            )
