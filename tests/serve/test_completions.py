"""/v1/completions of a local model, as its clients see it."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
import uvicorn
from starlette.applications import Starlette

from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.generate.prompt import encode
from stillroom.serve.app import make_app

SECONDS = 120


@pytest.fixture(scope="module")
def generators(taught_model: Path, tiny_model: Path) -> dict[str, Generator]:
    models = {"taught": taught_model, "tiny": tiny_model}
    return {name: Generator(load_model(path), threads=1) for name, path in models.items()}


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def url(generators: dict[str, Generator]) -> Iterator[str]:
    with serving(make_app(generators)) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def templated(generators: dict[str, Generator]) -> dict[str, str]:
    """What the chat template makes of each question: the prompt after which the model says what it was taught."""
    tokenizer = generators["taught"].local.tokenizer
    texts = {}
    for question in ("sum", "plain"):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        assert isinstance(text, str)
        texts[question] = text
    return texts


def test_a_text_goes_on_as_it_was_taught(client: openai.OpenAI, templated: dict[str, str]) -> None:
    prompt = templated["sum"]
    reply = client.completions.create(model="taught", prompt=prompt, temperature=0, max_tokens=99)
    assert (reply.object, reply.model, reply.id[:5]) == ("text_completion", "taught", "cmpl-")
    [choice] = reply.choices
    # A think block is text like any other here.
    assert choice.text.startswith("<think>\n2 + 3 = 5")
    assert choice.text.endswith("It is 5.")
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    chat = client.chat.completions.create(
        model="taught", messages=[{"role": "user", "content": "sum"}], temperature=0, max_tokens=99
    )
    assert reply.usage is not None
    assert chat.usage is not None
    assert reply.usage.prompt_tokens == chat.usage.prompt_tokens
    assert reply.usage.completion_tokens == chat.usage.completion_tokens


def test_a_stream_is_the_same_text(client: openai.OpenAI, templated: dict[str, str]) -> None:
    prompts = list(templated.values())
    whole = client.completions.create(model="taught", prompt=prompts, temperature=0, max_tokens=99)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.choices[1].text == "no thoughts, naïve ☕"
    texts, usages, pieces = ["", ""], [], 0
    reasons: list[str | None] = [None, None]
    for chunk in client.completions.create(
        model="taught",
        prompt=prompts,
        temperature=0,
        max_tokens=99,
        stream=True,
        stream_options={"include_usage": True},
    ):
        assert chunk.object == "text_completion"
        usages.append(chunk.usage)
        for choice in chunk.choices:
            pieces += 1
            assert reasons[choice.index] is None
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == ["stop", "stop"]
    assert pieces > 10
    assert usages == [None] * (len(usages) - 1) + [whole.usage]


def test_without_a_limit_a_completion_is_short(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="tiny", prompt="a", seed=1)
    assert reply.usage is not None
    assert reply.usage.completion_tokens <= 16


def test_tokens_are_taken_as_they_are(
    client: openai.OpenAI, generators: dict[str, Generator], templated: dict[str, str]
) -> None:
    tokenizer = generators["taught"].local.tokenizer
    tokens = {name: tokenizer(text, add_special_tokens=False)["input_ids"] for name, text in templated.items()}
    by_text = client.completions.create(model="taught", prompt=templated["sum"], temperature=0, max_tokens=99)
    by_tokens = client.completions.create(model="taught", prompt=tokens["sum"], temperature=0, max_tokens=99)
    assert by_tokens.choices[0].text == by_text.choices[0].text
    both = client.completions.create(model="taught", prompt=list(tokens.values()), temperature=0, max_tokens=99)
    assert both.choices[0].text == by_text.choices[0].text
    assert both.usage is not None
    assert both.usage.prompt_tokens == sum(map(len, tokens.values()))


def test_several_replies_to_several_prompts(client: openai.OpenAI) -> None:
    def texts(n: int) -> list[str]:
        reply = client.completions.create(model="tiny", prompt=["a", "b"], n=n, seed=3, max_tokens=12)
        assert [choice.index for choice in reply.choices] == list(range(2 * n))
        return [choice.text for choice in reply.choices]

    assert texts(2) == texts(2)
    assert len(set(texts(3))) == 6


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string(client: openai.OpenAI, templated: dict[str, str], stream: bool) -> None:
    asked: Any = client.completions.create(
        model="taught", prompt=templated["sum"], temperature=0, max_tokens=99, stop="= 5", stream=stream
    )
    choices = [choice for chunk in asked for choice in chunk.choices] if stream else asked.choices
    assert "".join(choice.text for choice in choices) == "<think>\n2 + 3 "
    assert choices[-1].finish_reason == "stop"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": ["x", 5]}, "prompt"),
        ({"prompt": [5, -1]}, "prompt"),
        ({"prompt": [10**6]}, "prompt"),
        ({"prompt": ["x"] * 129}, "prompt"),
        ({"prompt": ["x"] * 65, "n": 2}, "prompt"),
        ({"prompt": "x" * 600}, "prompt"),
        ({"echo": True}, "echo"),
        ({"echo": True, "logprobs": 2}, "logprobs"),
        ({"echo": True, "logprobs": 1, "max_tokens": 2}, "max_tokens"),
        ({"echo": True, "logprobs": 1, "max_tokens": None}, "max_tokens"),
        ({"echo": True, "logprobs": 1}, "temperature"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "n": 2}, "n"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "stream": True}, "stream"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "stop": ["x"]}, "stop"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "prompt": "x" * 600}, "prompt"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "prompt": [10**6]}, "prompt"),
        ({"echo": True, "logprobs": 1, "max_tokens": 0, "prompt": ""}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"best_of": 3}, "best_of"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_cannot_be_done_is_named(url: str, change: dict[str, Any], param: str) -> None:
    body = {"model": "tiny", "prompt": "x", "max_tokens": 1} | change
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{url}/completions", json.dumps(body).encode(), SECONDS)
    with raised.value as answer:
        error = json.loads(answer.read())["error"]
    assert raised.value.code == 400
    assert (error["param"], error["type"]) == (param, "invalid_request_error")


def test_a_prompt_is_scored_as_the_model_itself_scores_it(
    client: openai.OpenAI, generators: dict[str, Generator]
) -> None:
    local = generators["tiny"].local
    texts = ["the naïve ☕", "x", "a somewhat longer text"]
    prompts = [encode(local.tokenizer, text) for text in texts]
    reply = client.completions.create(model="tiny", prompt=prompts, echo=True, logprobs=1, max_tokens=1, temperature=0)
    plain = client.completions.create(model="tiny", prompt=prompts, max_tokens=1, temperature=0)
    for choice, prompt, text, next_one in zip(reply.choices, prompts, texts, plain.choices, strict=True):
        told = choice.logprobs
        assert told is not None
        assert told.token_logprobs is not None
        assert told.top_logprobs is not None
        with torch.no_grad():
            scores_TV = local.model(input_ids=torch.tensor([prompt])).logits[0].log_softmax(-1)
        expected = [float(scores_TV[at, token]) for at, token in enumerate(prompt[1:])]
        assert told.token_logprobs[:1] == [None]
        assert told.token_logprobs[1:-1] == pytest.approx(expected, abs=1e-4)
        assert told.token_logprobs[-1] == pytest.approx(float(scores_TV[-1].max()), abs=1e-4)
        assert [max(top.values()) for top in told.top_logprobs if top] == pytest.approx(
            scores_TV.max(-1).values.tolist(), abs=1e-4
        )
        assert choice.text.startswith(text)
        assert choice.text.endswith(next_one.text)
        assert len(told.tokens or ()) == len(told.text_offset or ()) == len(prompt) + 1
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == sum(map(len, prompts))


def test_a_text_alone_is_scored_without_writing(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="tiny", prompt="the end", echo=True, logprobs=0, max_tokens=0)
    (choice,) = reply.choices
    assert choice.text == "the end"
    assert choice.logprobs is not None
    assert choice.logprobs.top_logprobs is None
    assert choice.logprobs.tokens == ["the", " ", "e", "n", "d"]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 0


def test_texts_are_scored_while_replies_are_written(client: openai.OpenAI) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = [
            pool.submit(client.completions.create, model="tiny", prompt="x", max_tokens=40, seed=1) for _ in range(4)
        ]
        scored = [
            pool.submit(client.completions.create, model="tiny", prompt="the end", echo=True, logprobs=0, max_tokens=0)
            for _ in range(4)
        ]
        assert len({each.result().choices[0].text for each in written}) == 1
        found = [each.result().choices[0].logprobs for each in scored]
    assert all(each is not None and each.token_logprobs == found[0].token_logprobs for each in found if found[0])


def test_a_server_that_does_not_score_says_so() -> None:
    with (
        serving(make_app({}, scores=False)) as url,
        openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=SECONDS) as client,
        pytest.raises(openai.BadRequestError, match="echo: not done here"),
    ):
        client.completions.create(model="tiny", prompt="x", echo=True, logprobs=0, max_tokens=0)


def test_what_changes_nothing_is_taken(client: openai.OpenAI) -> None:
    reply = client.completions.create(
        model="tiny",
        prompt="x",
        max_tokens=2,
        echo=False,
        suffix="",
        best_of=2,
        n=2,
        user="me",
        extra_body={"top_k": 3},
    )
    assert len(reply.choices) == 2


def test_an_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'other' here"):
        client.completions.create(model="other", prompt="x")
