"""Further replies of the teacher, beside which the likeness of a suspect is told: those that the plan fixed.

Some siblings are nearer to whatever anybody says to their question. What such replies foretell of a suspect's
difference is taken off it, which leaves less noise and the test as exact as it was, as long as nobody chose the replies
by what was served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillroom.base.errors import DataError
from stillroom.probe.asked import is_usable
from stillroom.probe.bounded import read_bounded_rows
from stillroom.probe.measures import MEASURES
from stillroom.probe.plan import Plan, answers_digest_of
from stillroom.probe.statement import ReferenceChecks
from stillroom.probe.swap_test import swap_test
from stillroom.store.siblings import Answer, Pair

Texts = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class BesideReferences:
    """What is worked out without the coins where a plan has references: of its first measure of texts."""

    measure: str
    replies: int
    """That are used."""
    questions: int
    alone_N: NDArray[np.float64]
    """The suspect's differences without references."""
    references_N: NDArray[np.float64]
    """The references' own, as though they were a suspect's answers."""


def usable_texts(answers: Iterable[Answer]) -> dict[str, list[str]]:
    """Texts of each question, in the order of their samples; those that failed or were refused are none."""
    texts: dict[str, list[str]] = {}
    for answer in sorted(answers, key=lambda each: (each.question_id, each.sample)):
        if is_usable(answer):
            texts.setdefault(answer.question_id, []).append(answer.text)
    return texts


def further_replies(path: Path, pairs: Iterable[Pair]) -> list[Answer]:
    """Those of a thirds.parquet that are to questions of the pairs; none where there is no such file."""
    if not path.exists():
        return []
    questions = {pair.question_id for pair in pairs}
    return [answer for answer in read_bounded_rows(path, Answer) if answer.question_id in questions]


def references_of(plan: Plan, thirds: Sequence[Answer] | None) -> Texts | None:
    """The plan's, by question; None where it has none. Raises DataError where `thirds` are others than it fixed."""
    if plan.references_digest is None:
        return None
    if thirds is None or answers_digest_of(thirds) != plan.references_digest:
        raise DataError(
            f"The further replies of the teacher are not those that the plan {plan.name} fixed.",
            "Put the file thirds.parquet of the plan back from a backup.",
        )
    return usable_texts(thirds)


def beside_references(
    plan: Plan, pairs: Sequence[Pair], said: Texts, references: Texts | None
) -> BesideReferences | None:
    """None without references, or without a measure that they count in."""
    measure = next((each.name for each in plan.measures if each.name in MEASURES), None)
    if references is None or measure is None:
        return None
    return BesideReferences(
        measure=measure,
        replies=sum(map(len, references.values())),
        questions=len(references),
        alone_N=MEASURES[measure].differences(pairs, said),
        references_N=MEASURES[measure].differences(pairs, references),
    )


def reference_checks(found: BesideReferences, coins_N: NDArray[np.int8], units_N: NDArray[np.int64]) -> ReferenceChecks:
    """With the coins: what the test would have said without the references, and whether these lean to one side."""
    leaning = swap_test(found.references_N, coins_N, units_N)
    opposite = swap_test(-found.references_N, coins_N, units_N)
    return ReferenceChecks(
        measure=found.measure,
        replies=found.replies,
        questions=found.questions,
        p_value_without=swap_test(found.alone_N, coins_N, units_N).p_value,
        nearer_served=leaning.nearer_served,
        nearer_sealed=leaning.nearer_sealed,
        leaning_p_value=min(1.0, 2 * min(leaning.p_value, opposite.p_value)),
    )
