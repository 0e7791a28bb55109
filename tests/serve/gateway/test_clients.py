"""Packages that people call models with, unmodified, and told nothing but an address and a key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import llm
import openai
import pytest
import yaml

from stillroom.base.receipt import read_receipt, text_digest
from stillroom.base.records import Message
from stillroom.base.signatures import PublicKeys
from stillroom.client.engine import ask_all
from stillroom.client.request import ChatRequest, RequestSettings, sent_messages
from stillroom.client.settings import Endpoint, Sampling
from stillroom.store.journal import Journal
from stillroom.testing import Answer, MisbehavingTeacher

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import RunningGateway, Start

PLAN = json.dumps({"say": ["one ", "two"]})
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def test_openai(gateway: RunningGateway) -> None:
    key = gateway.key()
    with openai.OpenAI(api_key=key.key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        _openai_chats(client)
        _openai_calls_tools(client)
        _openai_responds(client)
        assert client.completions.create(model="m", prompt=PLAN).choices[0].text == "one two"
        embedded = client.embeddings.create(model="m", input="text", encoding_format="float")
        assert embedded.data[0].embedding == [0.25, -1.0]
        assert [model.id for model in client.models.list()] == ["m"]
        assert client.models.retrieve("m").id == "m"
        with pytest.raises(openai.NotFoundError, match="no such model"):
            client.models.retrieve("another")
        with pytest.raises(openai.BadRequestError, match="messages"):
            client.chat.completions.create(model="m", messages=[])
        raw = client.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": PLAN}])
        jwks = PublicKeys.from_jwks(gateway.get("/.well-known/jwks.json")[1], "test")
        receipt, salt = read_receipt(raw.headers["x-stillroom-receipt"], jwks, 2**33)
        assert receipt.replies[0].answer == text_digest(salt, "answer", "one two")
    with (
        openai.OpenAI(api_key="sr-unknown", base_url=f"{gateway.url}/v1", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    rows = gateway.calls_of(key, 10)
    assert [(row["route"], row["stream"], row["status"]) for row in rows] == [
        ("chat", False, "ok"),
        ("chat", True, "ok"),
        ("chat", True, "ok"),
        ("chat", False, "ok"),
        ("chat", True, "ok"),
        ("responses", False, "ok"),
        ("responses", True, "ok"),
        ("completions", False, "ok"),
        ("embeddings", False, "ok"),
        ("chat", False, "ok"),
    ]
    assert {row["agent"].partition("/")[0] for row in rows} == {"OpenAI"}


def _openai_chats(client: openai.OpenAI) -> None:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": PLAN}]}
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content == "one two"
    with client.chat.completions.create(**asked, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"
    with client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}) as stream:
        *_, last = stream
    assert last.usage is not None
    assert (last.choices, last.usage.prompt_tokens) == ([], 11)


def _openai_calls_tools(client: openai.OpenAI) -> None:
    plan = {"message_fields": {"content": None, "tool_calls": [CALL]}}
    whole = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": json.dumps(plan)}], tools=[TOOL]
    )
    (called,) = whole.choices[0].message.tool_calls or []
    assert called.model_dump(exclude_none=True) == CALL
    function = CALL["function"]
    pieces = [{"name": "weather", "arguments": '{"city":'}, {"arguments": ' "Oslo"}'}]
    heads: list[dict[str, Any]] = [{"id": "call_1", "type": "function"}, {}]
    deltas = [
        {"tool_calls": [{"index": 0, **head, "function": piece}]} for head, piece in zip(heads, pieces, strict=True)
    ]
    question = json.dumps({"say": [], "deltas": deltas})
    with client.chat.completions.stream(
        model="m", messages=[{"role": "user", "content": question}], tools=[TOOL]
    ) as stream:
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert {"name": streamed.function.name, "arguments": streamed.function.arguments} == function


def _openai_responds(client: openai.OpenAI) -> None:
    assert client.responses.create(model="m", input=PLAN).output_text == "one two"
    with client.responses.stream(model="m", input=PLAN) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == "one two"
    assert texts == ["one ", "two"]


def test_anthropic(gateway: RunningGateway) -> None:
    key = gateway.key()
    asked: Any = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": PLAN}]}
    with anthropic.Anthropic(api_key=key.key, base_url=gateway.url, max_retries=0) as client:
        whole = client.messages.create(**asked)
        assert whole.content[0].to_dict() == {"type": "text", "text": "one two"}
        with client.messages.stream(**asked) as stream:
            assert list(stream.text_stream) == ["one ", "two"]
            assert stream.get_final_message().usage.output_tokens == 4
        assert [model.id for model in client.models.list()] == ["m"]
        with pytest.raises(anthropic.NotFoundError, match="no model 'other'"):
            client.messages.create(**{**asked, "model": "other"})
    with (
        anthropic.Anthropic(api_key="sr-unknown", base_url=gateway.url, max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(**asked)
    rows = gateway.calls_of(key, 2)
    assert [(row["route"], row["stream"], row["status"]) for row in rows] == [
        ("messages", False, "ok"),
        ("messages", True, "ok"),
    ]


def test_llm(gateway: RunningGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up by its own files, as its documentation says for servers like OpenAI's."""
    key = gateway.key()
    model = {"model_id": "ours", "model_name": "m", "api_base": f"{gateway.url}/v1", "api_key_name": "ours"}
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump([model]))
    (tmp_path / "keys.json").write_text(json.dumps({"ours": key.key}))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    ours = llm.get_model("ours")
    assert list(ours.prompt(PLAN)) == ["one ", "two"]
    assert ours.prompt(PLAN, stream=False).text() == "one two"
    assert [(row["stream"], row["status"]) for row in gateway.calls_of(key, 2)] == [(True, "ok"), (False, "ok")]


def test_ask(start_gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """stillroom's own: each reply is kept with its receipt, which says what was answered."""
    with MisbehavingTeacher(lambda _: Answer("Twelve."), models=["m"]) as teacher:
        gateway = start_gateway(teacher.base_url.removesuffix("/v1"))
        monkeypatch.setenv("GATEWAY_KEY", gateway.key().key)
        jwks = PublicKeys.from_jwks(gateway.get("/.well-known/jwks.json")[1], "test")
        for stream in (False, True):
            address = f"{gateway.url}/v1"
            endpoint = Endpoint(model="m", base_url=address, api_key_env="GATEWAY_KEY", price="none", stream=stream)
            settings = RequestSettings(endpoint, Sampling(temperature=0.5, max_tokens=50))
            requests = []
            for number in range(40):
                messages = [Message(role="user", content=f"What is {number} plus {number}?")]
                requests.append(ChatRequest(str(number), sent_messages(messages), settings, (0,)))
            with Journal(tmp_path / f"journal-{stream}.db") as journal:
                counts = asyncio.run(ask_all(requests, endpoint, journal))
                replies = list(journal.replies())
            assert (counts.by_status["ok"], counts.failures.total(), counts.bad_receipts) == (40, 0, 0)
            for reply in replies:
                assert reply.receipt is not None
                receipt, salt = read_receipt(reply.receipt, jwks, 2**33)
                assert receipt.stream is stream
                assert receipt.replies[0].answer == text_digest(salt, "answer", "Twelve.")
        assert gateway.stop() == ""
    assert [(row["stream"], row["status"]) for row in gateway.calls()] == [(False, "ok")] * 40 + [(True, "ok")] * 40
