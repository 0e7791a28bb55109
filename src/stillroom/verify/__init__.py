"""Is this answer right? One small file per kind of question.

>>> verify(Question(id="1", messages=(Message(role="user", content="6 times 7?"),), kind="number", answer="42",
...                 source="mine"), "That makes 42.")
Judgement(verdict='right', reason='the same number', extracted='42')
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stillroom.base.records import Question
from stillroom.verify.choice import verify_choice
from stillroom.verify.exact import verify_exact
from stillroom.verify.instructions import verify_instructions
from stillroom.verify.judgement import Judgement
from stillroom.verify.math import verify_math
from stillroom.verify.number import verify_number
from stillroom.verify.task import verify_task
from stillroom.verify.workers import shared

__all__ = ["Judgement", "verify", "verify_many"]


def verify(question: Question, answer: str) -> Judgement:
    """Judge the answer part of a reply (without its reasoning) against the question's reference. Any thread may call.

    Raises StillroomError when the process that math and task answers are judged in cannot be started.
    """
    if question.kind in ("none", "code", "json"):
        return Judgement("unverifiable", f"kind {question.kind} has no verifier")
    if question.kind == "task":
        return verify_task(question.meta, answer, shared("task"))
    if question.kind == "instructions":
        return verify_instructions(question.meta, question.messages[-1].content, answer)
    if question.answer is None:
        return Judgement("unverifiable", "the question has no reference answer")
    if not answer.strip():
        return Judgement("wrong", "the answer is empty")
    if question.kind == "math":
        return verify_math(question.answer, answer, shared("math"))
    plain = {"number": verify_number, "exact": verify_exact, "choice": verify_choice}
    return plain[question.kind](question.answer, answer)


def verify_many(pairs: Sequence[tuple[Question, str]]) -> list[Judgement]:
    """`verify` of each pair, in order; those that need a process of their own run side by side."""
    if not any(question.kind in ("math", "task") for question, _ in pairs):
        return [verify(question, answer) for question, answer in pairs]
    with ThreadPoolExecutor(max_workers=shared("math").count) as threads:
        return list(threads.map(lambda pair: verify(*pair), pairs))
