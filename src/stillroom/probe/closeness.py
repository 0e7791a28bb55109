"""Whether a suspect may be the teacher itself, or pass questions on to it: then no test of siblings can tell anything.

The suspect's answers and another draw of the teacher are compared with the two siblings of each question. If the
suspect is the teacher, the two are as near on average. Nearness is told on a scale on which 0 is a reply of the teacher
to another question and 1 another draw of it to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Indel
from scipy.stats import bootstrap

from stillroom.base.errors import DataError
from stillroom.probe.asked import is_cut, is_usable
from stillroom.probe.measures.tokens import tokens
from stillroom.probe.statement import TeacherCloseness
from stillroom.store.siblings import Answer, Pair

MARGIN = 0.1
"""What still counts as indistinguishable: a tenth of the way from the teacher back to chance."""
FEWEST_QUESTIONS = 30
LEAST_ROOM = 0.05
"""Of likeness between the teacher's replies to other questions and to the same; with less there is nothing to tell."""
RESAMPLES, AT_ONCE, SEED = 2000, 100, 20_261_126

Verdict = Literal["indistinguishable", "farther", "undecided"]
Values = NDArray[np.float64]
Tokens = list[str]


@dataclass(frozen=True, slots=True)
class _Question:
    siblings: list[tuple[Tokens, Tokens]]
    answers: list[Answer]
    thirds: list[Answer]


def closeness(pairs: Sequence[Pair], answers: Iterable[Answer], thirds: Iterable[Answer]) -> TeacherCloseness:
    """Compares the suspect's answers with `thirds`, further draws of the teacher, by how near they come to the pairs.

    The likeness of two texts is twice the length of their longest common subsequence of tokens over the sum of their
    lengths. Of several third draws of a question the first that can be used counts: one draw stands for the teacher,
    however many there are. That a plan may have the same draws as references biases nothing here: the suspect's answers
    are compared as they are, and nothing is taken off them. No text counts further than the longer of the two siblings;
    where an answer or a third draw was cut by a limit, all that it is compared with is cut to its length. Questions
    lacking an answer, a pair or a third draw are left out. The 95 % interval is of questions drawn anew.
    `indistinguishable`: all of it is above -MARGIN, so that a suspect that comes nearer than the teacher is, too (one
    that is asked at a lower temperature does); `farther`: all of it is below; `undecided` else, with fewer than
    FEWEST_QUESTIONS, or where the teacher's replies to one question are hardly more alike than those to different ones.
    Raises DataError where no question has all three.
    """
    asked = _questions(pairs, answers, thirds)
    if not asked:
        raise DataError(
            "No question has a pair, an answer of the suspect and a third draw of the teacher.",
            "Draw the third replies for the questions that the suspect was asked.",
        )
    rows = [_nearness(question, asked[(place + 1) % len(asked)]) for place, question in enumerate(asked)]
    suspect_Q, teacher_Q, chance_Q = np.array(rows, np.float64).T
    difference = float(_difference(suspect_Q, teacher_Q, chance_Q))
    low, high = _interval(suspect_Q, teacher_Q, chance_Q)
    room = float(np.mean(teacher_Q) - np.mean(chance_Q))
    can_be_told = len(asked) >= FEWEST_QUESTIONS and room >= LEAST_ROOM
    return TeacherCloseness(
        verdict=_verdict(low, high) if can_be_told else "undecided",
        suspect=1.0 + difference,
        teacher=1.0,
        difference=difference,
        low=low,
        high=high,
        margin=MARGIN,
        questions=len(asked),
    )


def _verdict(low: float, high: float) -> Verdict:
    if low >= -MARGIN:
        return "indistinguishable"
    return "farther" if high < -MARGIN else "undecided"


def _questions(pairs: Sequence[Pair], answers: Iterable[Answer], thirds: Iterable[Answer]) -> list[_Question]:
    """Those that have all three, in the order of their ids, which are digests: as good as random."""
    said = _by_question(answers)
    in_order = sorted(thirds, key=lambda each: each.sample)
    drawn = {question: draws[:1] for question, draws in _by_question(in_order).items()}
    siblings: dict[str, list[tuple[Tokens, Tokens]]] = {}
    for pair in pairs:
        if pair.question_id in said and pair.question_id in drawn:
            siblings.setdefault(pair.question_id, []).append((tokens(pair.first), tokens(pair.second)))
    return [_Question(siblings[each], said[each], drawn[each]) for each in sorted(siblings)]


def _by_question(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        if is_usable(answer):
            found.setdefault(answer.question_id, []).append(answer)
    return found


def _nearness(question: _Question, other: _Question) -> tuple[float, float, float]:
    """Mean likeness to the siblings of the suspect's answers, of the third draws, and of another question's."""
    limits = [len(tokens(each.text)) for each in (*question.answers, *question.thirds) if is_cut(each)]
    limit = min(limits, default=None)
    return (
        _likeness(question.answers, question.siblings, limit),
        _likeness(question.thirds, question.siblings, limit),
        _likeness(other.thirds, question.siblings, limit),
    )


def _likeness(texts: Sequence[Answer], siblings: Sequence[tuple[Tokens, Tokens]], limit: int | None) -> float:
    likeness = []
    for text in texts:
        whole = tokens(text.text)
        for pair in siblings:
            short = [sibling[:limit] for sibling in pair]
            mine = whole[:limit][: max(map(len, short))]
            likeness += [Indel.normalized_similarity(mine, sibling) for sibling in short]
    return float(np.mean(likeness))


def _difference(suspect: Values, teacher: Values, chance: Values, axis: int = -1) -> Any:
    """How much nearer than the teacher, as a share of the way from chance to the teacher."""
    room = np.maximum(teacher.mean(axis) - chance.mean(axis), LEAST_ROOM)
    return (suspect.mean(axis) - teacher.mean(axis)) / room


def _interval(suspect_Q: Values, teacher_Q: Values, chance_Q: Values) -> tuple[float, float]:
    if len(suspect_Q) == 1:
        return -1.0, 1.0
    found = bootstrap(
        (suspect_Q, teacher_Q, chance_Q),
        _difference,
        paired=True,
        n_resamples=RESAMPLES,
        batch=AT_ONCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
