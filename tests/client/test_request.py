from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.client.request import ChatRequest, requests_for
from stillroom.client.settings import Endpoint, Sampling

BASE = ChatRequest("q1", (Message(role="user", content="2 + 2?"),), "teacher", Sampling(temperature=0.5, max_tokens=9))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message(role="user", content="2 + 3?"),)},
        {"messages": (Message(role="system", content="Brief."), *BASE.messages)},
        {"model": "another"},
        {"sampling": Sampling(temperature=0.6, max_tokens=9)},
        {"sampling": Sampling(temperature=0.5, max_tokens=9, seed=0)},
        {"sampling": Sampling(max_tokens=9)},
        {"sample": 1},
        {"extra_body": {"thinking": True}},
    ],
)
def test_what_decides_the_reply_is_in_the_key(change: dict[str, Any]) -> None:
    assert replace(BASE, **change).key != BASE.key


@pytest.mark.parametrize(
    "change",
    [
        {"question_id": "q2"},
        {"sampling": Sampling(temperature=0.5, max_tokens=99)},
        {"sampling": Sampling(temperature=0.5)},
        {"messages": (Message(role="user", content="2 + 2?", train=False),)},
    ],
)
def test_what_does_not_is_not(change: dict[str, Any]) -> None:
    assert replace(BASE, **change).key == BASE.key


def test_the_key_stays_the_same_between_versions() -> None:
    # Should this fail, then everybody's journals are asked, and paid for, again.
    assert BASE.key == "sha256:a471654dc83ea2d5e10fbe2fa665f80f2e0d3d070d55f57159a261905f02978e"


def test_whole_numbers_have_one_spelling() -> None:
    assert replace(BASE, sampling=Sampling(temperature=1)).key == replace(BASE, sampling=Sampling(temperature=1.0)).key


def test_body() -> None:
    assert json.loads(BASE.body()) == {
        "model": "teacher",
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }


def test_samples_of_one_question_have_seeds_of_their_own() -> None:
    question = Question(id="q", messages=BASE.messages, source="here")
    endpoint = Endpoint(model="teacher", base_url="http://localhost/v1")
    requests = list(requests_for([question], endpoint, Sampling(seed=5), samples=3))
    assert [json.loads(request.body())["seed"] for request in requests] == [5, 6, 7]
    assert len({request.key for request in requests}) == 3


def test_requests_are_made_as_they_are_taken() -> None:
    def endless() -> Iterator[Question]:
        while True:
            yield Question(id="q", messages=BASE.messages, source="here")

    endpoint = Endpoint(model="teacher", base_url="http://localhost/v1")
    assert next(requests_for(endless(), endpoint, Sampling())).model == "teacher"
