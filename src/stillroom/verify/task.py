"""Kind `task`: a question that reasoning-gym generated, scored by reasoning-gym's own scorer.

The scorer is given the last marked answer ("the answer is ...", a box, an answer tag, ####) without emphasis and, on a
single line, without the final full stop; where nothing is marked, the whole answer. From 0.99 on a score is right; a
lower one is wrong, with the score in the reason.
"""

from __future__ import annotations

from typing import Any

from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import bare, marked_answers
from stillroom.verify.math import not_answered
from stillroom.verify.workers import Workers

FULL_SCORE = 0.99


def verify_task(meta: dict[str, Any], answer: str, workers: Workers) -> Judgement:
    """`meta["task"]` is the task's name, `meta["entry"]` the entry its scorer expects."""
    request = task_request(meta, answer)
    if isinstance(request, Judgement):
        return request
    return task_judgement(request, workers.run(request), workers.limit_s)


def task_request(meta: dict[str, Any], answer: str) -> dict[str, Any] | Judgement:
    """What the worker is asked; a judgement where there is nothing to ask."""
    task, entry = meta.get("task"), meta.get("entry")
    if not isinstance(task, str) or not isinstance(entry, dict):
        return Judgement("unsure", "the question does not say which task and entry it is")
    return {"task": task, "entry": entry, "answer": answer_given(answer)}


def task_judgement(request: dict[str, Any], response: dict[str, Any], limit_s: float) -> Judgement:
    """What the worker's answer means."""
    given, seconds = request["answer"], response.get("seconds", limit_s)
    if "no_such_task" in response:
        return Judgement("unsure", f"reasoning-gym has no task {request['task']!r}", given, seconds)
    if "score" not in response:
        return Judgement("unsure", not_answered(response, limit_s), given, seconds)
    right = response["score"] >= FULL_SCORE
    return Judgement("right" if right else "wrong", f"scored {response['score']:.3g}", given, seconds)


def answer_given(answer: str) -> str:
    """What the scorer is given of an answer."""
    marked = marked_answers(answer)
    if not marked:
        return answer.strip()
    given = bare(marked[-1].text)
    return given.removesuffix(".") if marked[-1].mark == "phrase" and "\n" not in given else given
