from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.client.request import ChatRequest, RequestSettings, requests_for, sent_json, sent_messages
from stillroom.client.settings import Endpoint, Sampling

PLAIN: dict[str, Any] = {
    "messages": (Message(role="user", content="2 + 2?"),),
    "model": "teacher",
    "sampling": Sampling(temperature=0.5, max_tokens=9),
    "sample": 0,
    "extra_body": {},
    "question_id": "q1",
}


def request(**changes: Any) -> ChatRequest:
    values = PLAIN | changes
    endpoint = Endpoint(
        model=values["model"],
        base_url=values.get("base_url", "http://localhost/v1"),
        extra_body=values["extra_body"],
        stream=values.get("stream", False),
    )
    settings = RequestSettings(endpoint, values["sampling"], values.get("limit"))
    return ChatRequest(values["question_id"], sent_messages(values["messages"]), settings, (values["sample"],))


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message(role="user", content="2 + 3?"),)},
        {"messages": (Message(role="system", content="Brief."), Message(role="user", content="2 + 2?"))},
        {"model": "another"},
        {"sampling": Sampling(temperature=0.6, max_tokens=9)},
        {"sampling": Sampling(temperature=0.5, max_tokens=9, seed=0)},
        {"sampling": Sampling(max_tokens=9)},
        {"sample": 1},
        {"extra_body": {"thinking": True}},
    ],
)
def test_what_decides_the_reply_is_in_the_key(change: dict[str, Any]) -> None:
    assert request(**change).key != request().key


@pytest.mark.parametrize(
    "change",
    [
        {"question_id": "q2"},
        {"sampling": Sampling(temperature=0.5, max_tokens=99)},
        {"sampling": Sampling(temperature=0.5)},
        {"limit": 20},
        {"extra_body": {"max_tokens": None, "max_completion_tokens": 50}},
        {"messages": (Message(role="user", content="2 + 2?", train=False),)},
        {"base_url": "http://elsewhere/v1"},
        {"stream": True},
    ],
)
def test_what_does_not_is_not(change: dict[str, Any]) -> None:
    assert request(**change).key == request().key


def test_the_key_stays_the_same_between_versions() -> None:
    # Should this fail, then everybody's journals are asked, and paid for, again.
    assert request().key == "sha256:299ab538925d5c1649a1b28785af56b4da4f5b07b36c6b07d4ac798b07dd3dd9"


def test_whole_numbers_have_one_spelling() -> None:
    one, other = (request(sampling=Sampling(temperature=value)) for value in (1, 1.0))
    assert one.key == other.key


def test_body() -> None:
    assert json.loads(request().body()) == {
        "model": "teacher",
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "temperature": 0.5,
        "max_tokens": 9,
    }
    streamed = json.loads(request(stream=True).body())
    assert (streamed["stream"], streamed["stream_options"]) == (True, {"include_usage": True})


def test_samples_of_one_question_have_seeds_of_their_own() -> None:
    several = request(sampling=Sampling(seed=5)).only(range(3))
    assert [json.loads(several.only([sample]).body())["seed"] for sample in range(3)] == [5, 6, 7]
    assert len(set(several.keys)) == 3


def test_several_samples_can_be_one_call() -> None:
    several = request(sampling=Sampling(seed=5)).only((1, 2))
    assert {name: json.loads(several.body())[name] for name in ("n", "seed")} == {"n": 2, "seed": 6}
    assert several.keys == tuple(request(sampling=Sampling(seed=5), sample=sample).key for sample in (1, 2))


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({}, 9),
        ({"limit": 20}, 20),
        ({"extra_body": {"max_tokens": None, "max_completion_tokens": 50}}, 50),
        ({"extra_body": {"max_tokens": None, "max_completion_tokens": 50}, "limit": 99}, 99),
        ({"extra_body": {"max_tokens": None}}, None),
    ],
)
def test_the_limit_is_whatever_is_sent(change: dict[str, Any], limit: int | None) -> None:
    found = request(**change)
    body = json.loads(found.body())
    sent = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
    assert (found.settings.max_tokens, sent) == (limit, [] if limit is None else [limit])


def test_stored_messages_are_sent_as_they_are() -> None:
    stored = '[{"content":"2 + 2?","role":"user"}]'
    assert sent_json(stored) == request().messages
    assert sent_json('[{"content":"2 + 2?","role":"user","train":true}]') == request().messages
    assert json.loads(sent_json('[{"content":"say \\"train\\"","role":"user"}]'))[0]["content"] == 'say "train"'


def test_requests_are_made_as_they_are_taken() -> None:
    def endless() -> Iterator[Question]:
        while True:
            yield Question(id="q", messages=PLAIN["messages"], source="here")

    endpoint = Endpoint(model="teacher", base_url="http://localhost/v1")
    assert next(requests_for(endless(), endpoint, Sampling())).settings.model == "teacher"
