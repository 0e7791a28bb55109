"""The official client of OpenAI's API, pointed at the teacher: what it sends is understood, and so is what it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk

from stillroom.testing import Answer, MisbehavingTeacher, faults
from stillroom.testing.faults import Fault

ANSWER = Answer("It is five.", "two  and\nthree ")
MESSAGES: Any = [{"role": "user", "content": "2 + 3?"}]


def client_of(teacher: MisbehavingTeacher, retries: int = 0) -> OpenAI:
    return OpenAI(base_url=teacher.base_url, api_key="sk-test", max_retries=retries, timeout=60)


@pytest.fixture
def stream() -> Callable[..., list[ChatCompletionChunk]]:
    def chunks_of(teacher: MisbehavingTeacher, **more: Any) -> list[ChatCompletionChunk]:
        with client_of(teacher) as client:
            chunks: Iterator[ChatCompletionChunk] = client.chat.completions.create(
                model="teacher", messages=MESSAGES, stream=True, **more
            )
            return list(chunks)

    return chunks_of


Stream = Callable[..., list[ChatCompletionChunk]]


def text_of(chunks: list[ChatCompletionChunk], name: str = "content", index: int = 0) -> str:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(getattr(delta, name, None) or "" for delta in deltas)


def test_a_whole_reply() -> None:
    with MisbehavingTeacher(lambda _: ANSWER, api_key="sk-test") as teacher, client_of(teacher) as client:
        reply = client.chat.completions.create(model="teacher", messages=MESSAGES, n=2)
        assert [choice.message.content for choice in reply.choices] == ["It is five."] * 2
        assert reply.choices[1].finish_reason == "stop"
        assert reply.usage is not None
        assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 12)
        assert [model.id for model in client.models.list()] == ["teacher"]


def test_it_waits_and_asks_again() -> None:
    faulty = [faults.reset(), faults.rate_limited(0.01), faults.unavailable(0.01), None]
    with MisbehavingTeacher(lambda _: ANSWER, faults=faulty) as teacher, client_of(teacher, retries=3) as client:
        assert client.chat.completions.create(model="teacher", messages=MESSAGES).choices
        assert [entry.fault for entry in teacher.ledger] == ["reset", "rate_limited", "unavailable", None]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.key_refused(), openai.AuthenticationError),
        (faults.no_such_model(), openai.NotFoundError),
        (faults.quota_exhausted(), openai.RateLimitError),
        (faults.overloaded(), openai.InternalServerError),
        (faults.content_filtered(), openai.BadRequestError),
        (faults.cut_off(), openai.APIConnectionError),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_it_recognises_what_is_wrong(fault: Fault, error: type[Exception]) -> None:
    with MisbehavingTeacher(always=fault) as teacher, client_of(teacher) as client, pytest.raises(error):
        client.chat.completions.create(model="teacher", messages=MESSAGES)


def test_a_stream_brings_the_same(stream: Stream) -> None:
    with MisbehavingTeacher(lambda _: ANSWER) as teacher:
        chunks = stream(teacher, stream_options={"include_usage": True})
    assert text_of(chunks) == ANSWER.content
    assert text_of(chunks, "reasoning_content") == ANSWER.reasoning_content
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6 == teacher.charged_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert {chunk.model for chunk in chunks} == {"teacher-served"}


def test_no_usage_where_it_was_not_asked_for(stream: Stream) -> None:
    with MisbehavingTeacher(lambda _: ANSWER) as teacher:
        chunks = stream(teacher)
    assert text_of(chunks) == ANSWER.content
    assert all(chunk.usage is None for chunk in chunks)
    assert teacher.charged_tokens == 6


def test_several_choices_come_in_turn(stream: Stream) -> None:
    answers = [Answer("1 2 3"), Answer("four"), Answer("5 6")]
    with MisbehavingTeacher(lambda _: answers) as teacher:
        chunks = stream(teacher, n=3, stream_options={"include_usage": True})
    assert [text_of(chunks, index=index) for index in range(3)] == ["1 2 3", "four", "5 6"]
    assert [chunk.choices[0].index for chunk in chunks[:6]] == [0, 1, 2] * 2
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6


def test_a_stream_is_cut_at_the_limit(stream: Stream) -> None:
    with MisbehavingTeacher(lambda _: ANSWER) as teacher:
        chunks = stream(teacher, max_tokens=4)
    assert text_of(chunks) == "It"
    assert chunks[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    "fault",
    [
        faults.keep_alive_comments(3, 0.02),
        faults.blank_lines(3),
        faults.slow_bytes(0.05, pieces=40),
        faults.stalled(0.05),
        faults.tiny_chunks(500),
        faults.slow(0.02),
    ],
    ids=lambda fault: fault.name,
)
def test_odd_but_whole_streams(stream: Stream, fault: Fault) -> None:
    with MisbehavingTeacher(lambda _: ANSWER, always=fault) as teacher:
        assert text_of(stream(teacher)) == ANSWER.content


def test_an_error_in_the_middle_of_a_stream(stream: Stream) -> None:
    always = faults.error_in_stream()
    with MisbehavingTeacher(always=always) as teacher, pytest.raises(openai.APIError, match="upstream failed"):
        stream(teacher)


def test_a_stream_without_a_finish_reason(stream: Stream) -> None:
    with MisbehavingTeacher(lambda _: ANSWER, always=faults.no_finish_reason()) as teacher:
        chunks = stream(teacher)
    assert text_of(chunks) == ANSWER.content
    assert {choice.finish_reason for chunk in chunks for choice in chunk.choices} == {None}


def test_think_tags_never_come_whole(stream: Stream) -> None:
    with MisbehavingTeacher(lambda _: ANSWER, always=faults.split_think_tags()) as teacher:
        chunks = stream(teacher)
    assert text_of(chunks) == "<think>\ntwo  and\nthree \n</think>\n\nIt is five."
    assert max(len(choice.delta.content or "") for chunk in chunks for choice in chunk.choices) == 3


def test_content_in_parts_in_a_stream(stream: Stream) -> None:
    with MisbehavingTeacher(lambda _: ANSWER, always=faults.content_as_parts()) as teacher:
        parts = [choice.delta.content for chunk in stream(teacher) for choice in chunk.choices]
    kinds = [part[0]["type"] for part in parts if isinstance(part, list)]  # type: ignore[index, unreachable, unused-ignore]
    assert kinds == ["thinking", "text"]
