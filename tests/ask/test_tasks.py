from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillroom.ask.source_settings import ReasoningGymSource
from stillroom.ask.sources import read_questions
from stillroom.base.errors import RecipeError
from stillroom.base.records import Question


def make(
    task: str = "leg_counting", count: int = 5, seed: int = 7, config: dict[str, object] | None = None
) -> list[Question]:
    source = ReasoningGymSource(task=task, count=count, seed=seed, config=config or {})
    return list(read_questions(source, base_folder=Path()))


def test_questions_of_a_task() -> None:
    questions = make()
    assert len(questions) == 5
    for question in questions:
        assert (question.kind, question.family, question.source) == ("task", "leg_counting", "reasoning-gym")
        assert question.meta["task"] == "leg_counting"
        assert question.meta["entry"]["question"].strip() == question.messages[0].content
        assert question.meta["entry"]["answer"] == question.answer
        assert json.loads(json.dumps(question.meta)) == question.meta


def test_the_same_settings_make_the_same_questions() -> None:
    assert make() == make()
    assert make(count=2) == make(count=5)[:2]


def test_neighbouring_seeds_share_no_questions() -> None:
    # reasoning-gym itself draws question n from seed + n, so that seed 8 would repeat all but one of seed 7.
    ids = [question.id for seed in range(5) for question in make(count=40, seed=seed)]
    assert len(set(ids)) == len(ids)


def test_parameters_of_the_task_are_passed_on() -> None:
    for question in make(config={"min_animals": 1, "max_animals": 1}):
        assert question.meta["entry"]["metadata"]["num_animals"] == 1


def test_questions_that_come_out_alike_are_one() -> None:
    assert len(make("coin_flip", count=400)) < 400


def test_an_unknown_task_names_near_ones() -> None:
    with pytest.raises(RecipeError, match=r"no task 'leg_countin'\. Did you mean leg_counting"):
        make("leg_countin")
    with pytest.raises(RecipeError, match="The tasks are composite, complex_arithmetic, "):
        make("zzzzzz")


@pytest.mark.parametrize("config", [{"legs": 3}, {"min_animals": -1}, {"min_animals": "many"}])
def test_parameters_that_the_task_does_not_take(config: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="The task leg_counting does not take this config"):
        make(config=config)


def test_a_scorer_that_cannot_judge_stored_entries_is_found_out_first() -> None:
    with pytest.raises(RecipeError, match="The scorer of the task rearc cannot judge"):
        make("rearc", count=1)
