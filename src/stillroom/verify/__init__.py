"""Is this answer right? One small file per kind of question.

>>> verify(Question(id="1", messages=(Message(role="user", content="6 times 7?"),), kind="number", answer="42",
...                 source="mine"), "That makes 42.")
Judgement(verdict='right', reason='the same number', extracted='42', seconds=0.0001)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stillroom.base.records import Question
from stillroom.verify.choice import verify_choice
from stillroom.verify.code_answer import verify_code_many
from stillroom.verify.exact import verify_exact
from stillroom.verify.instructions import verify_instructions
from stillroom.verify.json_answer import json_judgement, json_request
from stillroom.verify.judgement import Judgement
from stillroom.verify.math import math_judgement, math_request
from stillroom.verify.number import verify_number
from stillroom.verify.task import task_judgement, task_request
from stillroom.verify.workers import JobName, shared

__all__ = ["Judgement", "verify", "verify_many"]


def verify(question: Question, answer: str) -> Judgement:
    """Judge the answer part of a reply (without its reasoning) against the question's reference. Any thread may call.

    Raises StillroomError when a process that answers are judged in cannot be started.
    """
    return verify_many([(question, answer)])[0]


def verify_many(pairs: Sequence[tuple[Question, str]]) -> list[Judgement]:
    """`verify` of each pair, in order; those that need a process of their own run side by side."""
    judgements: list[Judgement | None] = [None] * len(pairs)
    waiting: dict[JobName, list[tuple[int, dict[str, Any]]]] = {"math": [], "task": [], "json": []}
    for index, (question, answer) in enumerate(pairs):
        if question.kind == "code":
            continue
        started = time.perf_counter()
        found = _here_or_request(question, answer)
        if isinstance(found, Judgement):
            judgements[index] = replace(found, seconds=time.perf_counter() - started)
        else:
            job: JobName = question.kind if question.kind in ("task", "json") else "math"
            waiting[job].append((index, found))
    for job, requests in waiting.items():
        if requests:
            workers = shared(job)
            responses = workers.run_many([request for _, request in requests])
            for (index, request), response in zip(requests, responses, strict=True):
                judgements[index] = _judgement(job, request, response, workers.limit_s)
    code = [index for index, (question, _) in enumerate(pairs) if question.kind == "code"]
    for index, judgement in zip(code, verify_code_many([pairs[index] for index in code]), strict=True):
        judgements[index] = judgement
    return [judgement for judgement in judgements if judgement is not None]


def _here_or_request(question: Question, answer: str) -> Judgement | dict[str, Any]:
    """The judgement where this process can reach it; what a worker is asked where it cannot."""
    if question.kind == "none":
        return Judgement("unverifiable", "kind none has no verifier")
    if question.kind == "task":
        return task_request(question.meta, answer)
    if question.kind == "json":
        return json_request(question, answer)
    if question.kind == "instructions":
        return verify_instructions(question.meta, question.messages[-1].content, answer)
    if question.answer is None:
        return Judgement("unverifiable", "the question has no reference answer")
    if not answer.strip():
        return Judgement("wrong", "the answer is empty")
    if question.kind == "math":
        return math_request(question.answer, answer, _text(question))
    if question.kind == "number":
        return verify_number(question.answer, answer, _text(question), question.meta.get("tolerance"))
    plain: dict[str, Callable[[str, str], Judgement]] = {"exact": verify_exact, "choice": verify_choice}
    return plain[question.kind](question.answer, answer)


def _judgement(job: JobName, request: dict[str, Any], response: dict[str, Any], limit_s: float) -> Judgement:
    if job == "math":
        return math_judgement(response, limit_s)
    return (task_judgement if job == "task" else json_judgement)(request, response, limit_s)


def _text(question: Question) -> str:
    return "\n".join(message.content for message in question.messages if message.role == "user")
