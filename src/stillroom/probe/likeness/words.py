"""A ranking in sentences."""

from __future__ import annotations

from stillroom.probe.likeness.ranking import Likeness, Ranked
from stillroom.text.counted import counted, listed

NOT_A_TEST = (
    "This is a ranking and no test: models grow alike for many reasons, above all by learning from the same texts and "
    "by being equally able. It accuses nobody."
)


def sentences(found: Likeness) -> list[str]:
    """What was found, in the order in which it matters."""
    if found.abstained:
        return ["No ranking.", *found.abstained, *_left_out(found)]
    of_suspect, of_teacher = found.rank_of_suspect, found.rank_of_teacher
    assert of_suspect is not None
    assert of_teacher is not None
    return [
        f"Of {counted(len(found.to_teacher), 'model')}, {found.suspect} is {_place(of_suspect)} to {found.teacher}, "
        f"on {counted(found.questions, 'question')}.",
        f"Of {counted(len(found.to_suspect), 'model')}, {found.teacher} is {_place(of_teacher)} to {found.suspect}.",
        *_left_out(found),
        NOT_A_TEST,
    ]


def table(ranking: tuple[Ranked, ...]) -> list[str]:
    """A line for each model, nearest first."""
    return [
        f"{_ranks(each):>8}  {each.likeness:+.4f} ({each.low:+.4f} to {each.high:+.4f})  {each.name}"
        for each in ranking
    ]


def _place(ranked: Ranked) -> str:
    nearest = "the nearest" if ranked.rank == 1 else f"the {_ordinal(ranked.rank)} nearest"
    if ranked.rank_low == ranked.rank_high:
        return nearest
    return f"{nearest} (over other questions: {_ordinal(ranked.rank_low)} to {_ordinal(ranked.rank_high)})"


def _ranks(ranked: Ranked) -> str:
    if ranked.rank_low == ranked.rank_high:
        return str(ranked.rank)
    return f"{ranked.rank} ({ranked.rank_low}-{ranked.rank_high})"


def _left_out(found: Likeness) -> list[str]:
    said = [f"Left out: {name}, for {why}." for name, why in found.panel_left_out.items()]
    if found.questions_left_out:
        reasons = listed(f"{count:,} because {why}" for why, count in sorted(found.questions_left_out.items()))
        said.append(f"Questions left out: {reasons}.")
    return said


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
