"""What the students of SmolLM2 are made from, with a smaller model in its place."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from benchmarks.probe_power import folders
from benchmarks.probe_students import tables
from benchmarks.probe_students.smollm2 import Room
from benchmarks.probe_students.smollm2_questions import OTHER_FORMS, TOPICS, other_questions, questions
from benchmarks.probe_students.smollm2_recipes import RECIPES
from benchmarks.probe_students.suspects import read_answers

from stillroom.classroom.models import base_folder
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair, read_rows
from stillroom.store.tables import read_traces

NAMED = {recipe.name: recipe for recipe in RECIPES}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    room = Room(tmp_path_factory.mktemp("smollm2"), base_folder(), scale=0.004)
    room.make_base()
    room.make(replace(NAMED["50 % served, 1 epoch"], samples=4))
    return room


def test_half_of_its_lessons_are_served_replies_and_the_rest_is_about_other_questions(room: Room) -> None:
    folder = room.student(NAMED["50 % served, 1 epoch"])
    coins = {opening.pair_id: opening.coin for opening in read_rows(folder / "openings.parquet", Opening)}
    pairs = {pair.pair_id: pair for pair in read_rows(folder / "pairs.parquet", Pair)}
    learned = json.loads((folder / "trained_on.json").read_text())
    served = {
        json.loads(pairs[each].messages)[0]["content"]: (pairs[each].first, pairs[each].second)[coins[each]]
        for each in learned
    }
    taught = {
        row.messages[0].content: row.messages[1].content for row in read_traces(folder / "training/traces.parquet")
    }
    assert len(pairs) == 8
    assert len(served) == 4
    assert served.items() <= taught.items()
    assert not (taught.keys() - served.keys()) & {json.loads(pair.messages)[0]["content"] for pair in pairs.values()}


def test_every_question_is_answered_and_every_pair_is_scored_by_student_and_base(room: Room) -> None:
    folder = room.student(NAMED["50 % served, 1 epoch"])
    asked = {pair.question_id for pair in read_rows(folder / "pairs.parquet", Pair)}
    for name, samples in (("answers_greedy", 1), ("answers_t07", 4), ("thirds", 4)):
        counts = Counter(answer.question_id for answer in read_rows(folder / f"{name}.parquet", Answer))
        assert counts == dict.fromkeys(asked, samples)
    scored = Counter(row.model for row in read_rows(folder / "likelihoods.parquet", Likelihood))
    assert scored == {"suspect": 8, "base": 8}


def test_it_is_judged_by_as_many_answers_as_are_wanted(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MANY_SAMPLES", 4)
    made = folders([room.folder / "students"], "answers_t07")
    assert [len(read_answers(made[0], "answers_t07", samples)) for samples in (1, None)] == [8, 32]
    told = "\n".join(tables.of_samples(made, "answers_t07"))
    assert [line.split(" | ")[1] for line in told.splitlines()[4:]] == ["greedy", "1", "4"]


def test_other_questions_are_others() -> None:
    other = other_questions(len(OTHER_FORMS) * len(TOPICS), 1000)
    assert len(set(other)) == len(other) == 2000
    assert not set(other) & {*questions(2000, 1000), *questions(500, 1)}
