"""Questions made by reasoning-gym's tasks. The task's own scorer judges the answers later, from `meta["entry"]`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import reasoning_gym  # type: ignore[import-untyped]
from reasoning_gym.factory import DATASETS  # type: ignore[import-untyped]

from stillroom.ask.distinct import Place
from stillroom.ask.source_settings import ReasoningGymSource
from stillroom.base.canonical import digest
from stillroom.base.errors import RecipeError
from stillroom.base.records import Message, Question, question_id
from stillroom.text.columns import nearest


def make_questions(source: ReasoningGymSource) -> Iterator[tuple[Place, Question]]:
    """`source.count` questions, each with its place, `TASK number N`. The same settings make the same questions.

    Raises RecipeError for a task that does not exist, parameters that it does not take, or a task whose scorer needs
    more than what JSON can hold.
    """
    dataset = _dataset(source)
    for index in range(source.count):
        entry = dataset[index]
        kept = json.loads(json.dumps(entry, default=str))
        if index == 0 and isinstance(entry["answer"], str):
            _check_scorer(source.task, dataset, entry, kept)
        messages = (Message(role="user", content=kept["question"].strip()),)
        yield (
            Place(f"{source.task} number", index),
            Question(
                id=question_id(messages),
                messages=messages,
                answer=kept["answer"],
                kind="task",
                source="reasoning-gym",
                licence="Apache-2.0",
                family=source.task,
                meta={"task": source.task, "entry": kept},
            ),
        )


def _dataset(source: ReasoningGymSource) -> Any:
    if source.task not in DATASETS:
        raise RecipeError(f"reasoning-gym has no task {source.task!r}.", nearest(source.task, DATASETS, "tasks"))
    parameters = source.config | {"size": source.count, "seed": _spread(source.seed)}
    try:
        return reasoning_gym.create_dataset(source.task, **parameters)
    except (TypeError, ValueError, AssertionError) as error:
        raise RecipeError(f"The task {source.task} does not take this config: {error}.", "Mend `config`.") from error


def _spread(seed: int) -> int:
    """A seed far from those of its neighbours.

    reasoning-gym draws question number n from seed + n: 2,000 questions of seed 7 would hold 200 of seed 99.
    """
    return int(digest(["reasoning-gym", seed]).removeprefix("sha256:")[:8], 16) >> 2


def _check_scorer(task: str, dataset: Any, entry: dict[str, Any], kept: dict[str, Any]) -> None:
    # A few scorers compare tuples, which JSON turns into lists: they would call every right answer wrong.
    answer = entry["answer"]
    if dataset.score_answer(answer, kept) != dataset.score_answer(answer, entry):
        raise RecipeError(
            f"The scorer of the task {task} cannot judge an answer once its question has been stored.",
            "Choose another task.",
        )
