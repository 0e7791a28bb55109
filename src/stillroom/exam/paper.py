"""The questions of an examination, and what makes them unfit for one."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question, Trace, question_id
from stillroom.store.tables import read_questions, read_traces
from stillroom.text.naming import named
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
                "Give it an answer and a kind that fits it (docs/verdicts.md says what each needs), or leave it out.",
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


def also_among(questions: list[Question], others: Path) -> list[Question]:
    """Those of `questions` whose messages are, to the letter, in the table of questions `others`."""
    examined = {question_id(question.messages): question for question in questions}
    found = {question_id(question.messages) for question in read_questions(others)} & examined.keys()
    return [question for digest, question in examined.items() if digest in found]


def refuse_overlap(questions: list[Question], traces: Path, taker: str) -> None:
    """An examination on what was trained on measures memory. Raises DataError that names such a question.

    `taker` is who learned from the traces. Two questions are the same when their messages are, to the letter.
    """
    examined = {question_id(question.messages): question for question in questions}
    who = "the student" if taker == "student" else taker
    for trace in read_traces(traces):
        same = examined.get(question_id(_asked(trace)))
        if same is not None:
            raise DataError(
                f"The exam's question {named(same)} is also among those that {who} learned from "
                f"({trace.source}, id {trace.question_id}).",
                "Take exam questions from another file, another seed, or other rows.",
            )


def _asked(trace: Trace) -> tuple[Message, ...]:
    """The messages before the first reply that is trained on, as a question has them."""
    before = takewhile(lambda message: not message.train, trace.messages)
    return tuple(message.model_copy(update={"train": None}) for message in before)
