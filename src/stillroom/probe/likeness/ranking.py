"""Which models are nearest to the teacher, and to the suspect. Says nothing of why, and so there is no p-value.

Letters of shapes: Q questions, M models, B bootstrap draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillroom.base.errors import UsageError
from stillroom.probe.likeness.overlap import LEAST_WORDS, doubly_centred, overlaps, words_of
from stillroom.probe.likeness.panel import Answers, matched_panel
from stillroom.text.counted import counted

LEAST_PANEL = 5
"""Models that match the suspect in form: below so many there is no ranking."""
LEAST_QUESTIONS = 50
DRAWS = 2_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One model's likeness to another, with what it could be over other questions of the same sort (95 %)."""

    name: str
    likeness: float
    """Overlap, on a scale from 0 to 1, beyond what the questions and the two models' nearness to all others give."""
    low: float
    high: float
    rank: int
    """1: the nearest."""
    rank_low: int
    rank_high: int


@dataclass(frozen=True, slots=True)
class Likeness:
    teacher: str
    suspect: str
    panel: tuple[str, ...]
    """The models that were compared."""
    panel_left_out: Mapping[str, str]
    """Why, by name."""
    questions: int
    questions_left_out: Mapping[str, int]
    """How many, by reason."""
    abstained: tuple[str, ...]
    """Why there is no ranking. Without a reason here there is one."""
    to_teacher: tuple[Ranked, ...]
    """The suspect and the panel, nearest first."""
    to_suspect: tuple[Ranked, ...]
    """The teacher and the panel, nearest first."""

    @property
    def rank_of_suspect(self) -> Ranked | None:
        return next((each for each in self.to_teacher if each.name == self.suspect), None)

    @property
    def rank_of_teacher(self) -> Ranked | None:
        return next((each for each in self.to_suspect if each.name == self.teacher), None)


def likeness(
    answers_by_model: Mapping[str, Answers],
    teacher: str,
    suspect: str,
    panel: Sequence[str],
    *,
    questions: Mapping[str, str],
    seed: int = 0,
) -> Likeness:
    """Rank the suspect among a panel of unrelated models by how near its answers are to the teacher's.

    `answers_by_model`: of each name one answer by question id; an empty text is none. `questions`: their texts by id:
    what stands in a question is not counted as likeness. Abstains, with reasons, where fewer than five models of the
    panel write in the suspect's form, or fewer than fifty questions are left. Raises UsageError for a name without
    answers, or one that stands twice.
    """
    _refuse_wrong_names(answers_by_model, [teacher, suspect, *panel])
    given = {name: _not_empty(answers) for name, answers in answers_by_model.items()}
    found = matched_panel(given, teacher, suspect, panel)
    names = [teacher, suspect, *found.matched]
    asked, left_out = _questions(given, names, questions)
    abstained = tuple(_why_abstain(len(found.matched), len(panel), len(asked)))
    to_teacher: tuple[Ranked, ...] = ()
    to_suspect: tuple[Ranked, ...] = ()
    if not abstained:
        answers_QM = [[words_of(given[name][question]) for name in names] for question in asked]
        left_QMM = doubly_centred(overlaps(answers_QM, [words_of(questions[question]) for question in asked]))
        to_teacher = _ranking(left_QMM[:, 0, 1:], names[1:], seed)
        to_suspect = _ranking(np.delete(left_QMM[:, 1], 1, axis=1), [teacher, *found.matched], seed)
    return Likeness(
        teacher, suspect, found.matched, found.left_out, len(asked), left_out, abstained, to_teacher, to_suspect
    )


def _refuse_wrong_names(answers_by_model: Mapping[str, Answers], names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if name not in answers_by_model:
            raise UsageError(f"There are no answers of {name}.", "Give the answers of each model that is named.")
        if times > 1:
            raise UsageError(f"{name} is named {times} times.", "A model is the teacher, the suspect or of the panel.")


def _not_empty(answers: Answers) -> Answers:
    return {question: text for question, text in answers.items() if text.strip()}


def _questions(
    given: Mapping[str, Answers], names: Sequence[str], questions: Mapping[str, str]
) -> tuple[list[str], Mapping[str, int]]:
    """The ids of those that can be compared, and how many cannot, by reason."""
    kept: list[str] = []
    left_out: Counter[str] = Counter()
    for question in sorted(questions.keys() | set().union(*(given[name].keys() for name in names))):
        texts = [given[name].get(question) for name in names]
        if question not in questions:
            left_out["the question's text is not known"] += 1
        elif None in texts:
            left_out["not every model answered"] += 1
        elif min(len(words_of(text)) for text in texts if text is not None) < LEAST_WORDS:
            left_out[f"an answer has fewer than {LEAST_WORDS} words"] += 1
        else:
            kept.append(question)
    return kept, dict(left_out)


def _why_abstain(matched: int, panel: int, asked: int) -> list[str]:
    reasons = []
    if matched < LEAST_PANEL:
        reasons.append(
            f"Of {counted(panel, 'model')} in the panel {matched} can be compared with the suspect; "
            f"below {LEAST_PANEL} a rank says nothing."
        )
    if asked < LEAST_QUESTIONS:
        reasons.append(f"{counted(asked, 'question')} can be compared; {LEAST_QUESTIONS} are the fewest.")
    return reasons


def _ranking(left_QM: Floats, names: Sequence[str], seed: int) -> tuple[Ranked, ...]:
    """Nearest first, with percentile intervals over questions that are drawn anew."""
    questions = len(left_QM)
    counts_BQ = np.random.default_rng(seed).multinomial(questions, np.full(questions, 1 / questions), DRAWS)
    likeness_M = left_QM.mean(axis=0)
    drawn_BM = counts_BQ @ left_QM / questions
    low_M, high_M = np.quantile(drawn_BM, (0.025, 0.975), axis=0)
    rank_low_M, rank_high_M = np.quantile(_ranks(drawn_BM), (0.025, 0.975), axis=0, method="inverted_cdf")
    rank_M = _ranks(likeness_M[None])[0]
    ranked = [
        Ranked(
            name,
            float(likeness_M[place]),
            float(low_M[place]),
            float(high_M[place]),
            int(rank_M[place]),
            int(rank_low_M[place]),
            int(rank_high_M[place]),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(ranked, key=lambda each: (each.rank, each.name)))


def _ranks(likeness_BM: Floats) -> npt.NDArray[np.int64]:
    """1 for the largest of each row; equals share the better rank."""
    ranks_BM: npt.NDArray[np.int64] = 1 + (likeness_BM[:, None, :] > likeness_BM[:, :, None]).sum(axis=2)
    return ranks_BM
