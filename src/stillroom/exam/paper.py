"""The questions of an examination, and what makes them unfit for one."""

from __future__ import annotations

from pathlib import Path

from stillroom.base.errors import DataError
from stillroom.base.records import Question, question_id
from stillroom.store.tables import read_questions
from stillroom.text.naming import named, place
from stillroom.verify.instructions import has_instructions

TESTS_OF_CODE = ("tests", "test", "test_list", "cases")
"""Keys of `meta`, one of which says what code must pass."""


def read_paper(path: Path) -> list[Question]:
    """The questions, in their order; an examination is small enough to be held in memory.

    Raises StoreError for a table that cannot be read, DataError for one with no questions, with an id that stands
    twice, or with a question whose answers nothing can judge.
    """
    questions = list(read_questions(path))
    if not questions:
        raise DataError(f"{path} holds no questions.", "Give the exam some under `exam: questions:`.")
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise DataError(f"{path} holds {named(question)} twice.", "Give each question its own id.")
        seen.add(question.id)
        if not _can_be_judged(question):
            raise DataError(
                f"The exam's question {named(question)} (kind {question.kind}) has no answer that can be verified.",
                "Give it an answer and a kind that fits it (docs/check.md says what each needs), or leave it out.",
            )
    return questions


def _can_be_judged(question: Question) -> bool:
    """Whether a question holds what its kind's verifier compares with."""
    match question.kind:
        case "none":
            return False
        case "task":
            return True
        case "instructions":
            return has_instructions(question.meta)
        case "json":
            return question.answer is not None or "schema" in question.meta
        case "code":
            return any(key in question.meta for key in TESTS_OF_CODE)
        case _:
            return question.answer is not None


def refuse_overlap(questions: list[Question], training: Path) -> None:
    """An examination on what was trained on measures memory. Raises DataError that names both rows by their places.

    Two questions are the same when their messages are, to the letter.
    """
    examined = {question_id(question.messages): question for question in questions}
    for question in read_questions(training):
        same = examined.get(question_id(question.messages))
        if same is not None:
            learned = place(question)
            raise DataError(
                f"The exam's question {named(same)} is also among those that the student learns from"
                + (f": {learned}." if learned else "."),
                "Take exam questions from another file, another seed, or other rows.",
            )
