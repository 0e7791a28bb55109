"""The server as its clients see it: the official client, raw HTTP, and clients that leave."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn

from stillroom.generate.generator import Generation, Generator
from stillroom.generate.load import load_model
from stillroom.generate.sampling import Sampling
from stillroom.serve.app import make_app
from stillroom.serve.reply_request import MAX_BODY_BYTES

SECONDS = 120
TAUGHT = {
    "sum": ("2 + 3 = 5", "It is 5."),
    "plain": (None, "no thoughts, naïve ☕"),
    "count": ("1 2 3 4 5 6 7 8", "one, two, three, four"),
}


class WatchedGenerator(Generator):
    """Keeps what it was asked for, and can be slowed down."""

    pause = 0.0

    def __init__(self, model: Path, **settings: Any) -> None:
        self.asked: list[Generation] = []
        super().__init__(load_model(model), threads=1, **settings)

    def submit(self, prompt: list[int], sampling: Sampling, on_token: Callable[[], None] | None = None) -> Generation:
        generation = super().submit(prompt, sampling, on_token)
        self.asked.append(generation)
        return generation

    def _step(self) -> None:
        time.sleep(self.pause)
        super()._step()


@pytest.fixture(scope="module")
def generators(taught_model: Path, tiny_model: Path) -> dict[str, WatchedGenerator]:
    return {"taught": WatchedGenerator(taught_model), "tiny": WatchedGenerator(tiny_model)}


@pytest.fixture(scope="module")
def port(generators: dict[str, WatchedGenerator]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_app(generators), log_level="warning", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture(scope="module")
def client(port: int) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=SECONDS
    ) as client:
        yield client


def _user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


# --- the official client ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", list(TAUGHT))
def test_a_whole_reply(client: openai.OpenAI, question: str) -> None:
    reasoning, answer = TAUGHT[question]
    reply = client.chat.completions.create(model="taught", messages=_user(question), temperature=0)
    assert reply.object == "chat.completion"
    assert reply.model == "taught"
    assert len(reply.choices) == 1
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].message.content == answer
    assert getattr(reply.choices[0].message, "reasoning_content", None) == reasoning
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len(question.encode()) + 3
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens_details is not None
    # The tags and the two line ends inside them are tokens too; "the" and "he" would be one each.
    expected = 0 if reasoning is None else len(reasoning) + 4
    assert reply.usage.completion_tokens_details.reasoning_tokens == expected


@pytest.mark.parametrize("question", list(TAUGHT))
def test_a_stream_is_the_same_reply(client: openai.OpenAI, question: str) -> None:
    whole = client.chat.completions.create(model="taught", messages=_user(question), temperature=0)
    reasoning = answer = ""
    usages, reasons, pieces = [], [], 0
    for chunk in client.chat.completions.create(
        model="taught",
        messages=_user(question),
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    ):
        assert chunk.object == "chat.completion.chunk"
        usages.append(chunk.usage)
        for choice in chunk.choices:
            more = getattr(choice.delta, "reasoning_content", None) or ""
            pieces += 1
            assert not (more and answer), "reasoning after the answer had begun"
            reasoning += more
            answer += choice.delta.content or ""
            reasons.append(choice.finish_reason)
    assert (reasoning or None, answer) == TAUGHT[question]
    assert pieces > 5
    assert reasons == [None] * (len(reasons) - 1) + ["stop"]
    assert usages == [None] * (len(usages) - 1) + [whole.usage]


def test_many_at_once_are_each_answered(port: int) -> None:
    async def ask_all() -> list[str | None]:
        async with openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=SECONDS
        ) as client:
            replies = await asyncio.gather(
                *(
                    client.chat.completions.create(model="taught", messages=_user(question), temperature=0)
                    for question in list(TAUGHT) * 20
                )
            )
        return [reply.choices[0].message.content for reply in replies]

    assert asyncio.run(ask_all()) == [answer for _, answer in TAUGHT.values()] * 20


def test_a_short_one_overtakes_a_long_one(client: openai.OpenAI, generators: dict[str, WatchedGenerator]) -> None:
    generators["tiny"].pause = 0.01
    stream = client.chat.completions.create(model="tiny", messages=_user("long"), max_tokens=400, stream=True, seed=0)
    next(iter(stream))
    long = generators["tiny"].asked[-1]
    short = client.chat.completions.create(model="tiny", messages=_user("short"), max_tokens=4, temperature=0)
    assert short.usage is not None
    assert short.usage.completion_tokens == 4
    assert not long.finished.done()
    stream.close()
    generators["tiny"].pause = 0.0


def test_length_limits(client: openai.OpenAI) -> None:
    for limit in ({"max_tokens": 7}, {"max_completion_tokens": 7}, {"max_completion_tokens": 7, "max_tokens": 99}):
        reply = client.chat.completions.create(model="taught", messages=_user("sum"), temperature=0, extra_body=limit)
        assert reply.choices[0].finish_reason == "length"
        assert reply.choices[0].message.content == ""
        assert reply.choices[0].message.reasoning_content == "2 + 3"  # type: ignore[attr-defined]
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 7


def test_several_choices_and_seeds(client: openai.OpenAI) -> None:
    def ask(seed: int | None, n: int) -> list[str | None]:
        reply = client.chat.completions.create(model="tiny", messages=_user("x"), max_tokens=20, seed=seed, n=n)
        assert [choice.index for choice in reply.choices] == list(range(n))
        assert reply.usage is not None
        assert reply.usage.completion_tokens <= 20 * n
        return [choice.message.content for choice in reply.choices]

    three = ask(5, 3)
    assert len(set(three)) == 3
    assert ask(5, 3) == three
    assert ask(5, 1) == three[:1]
    assert ask(6, 1) != three[:1]
    assert ask(None, 3) != ask(None, 3)  # single ones are both empty once in 70,000 times


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings_cut_the_answer_and_leave_the_reasoning(client: openai.OpenAI, stream: bool) -> None:
    content, reason = _ask_either_way(client, stream, "count", stop=["three", "8", ", tw"])
    assert (content, reason) == ("one", "stop")
    assert _ask_either_way(client, stream, "count", stop="four") == ("one, two, three, ", "stop")
    assert _ask_either_way(client, stream, "count", stop="five") == (TAUGHT["count"][1], "stop")


def _ask_either_way(client: openai.OpenAI, stream: bool, question: str, **settings: Any) -> tuple[str, str | None]:
    asked: Any = client.chat.completions.create(
        model="taught", messages=_user(question), temperature=0, stream=stream, **settings
    )
    if not stream:
        return asked.choices[0].message.content, asked.choices[0].finish_reason
    choices = [choice for chunk in asked for choice in chunk.choices]
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason


def test_a_stop_string_ends_the_writing(client: openai.OpenAI, generators: dict[str, WatchedGenerator]) -> None:
    generators["taught"].pause = 0.01
    reply = client.chat.completions.create(model="taught", messages=_user("count"), temperature=0, stop="one")
    generation = generators["taught"].asked[-1]
    generation.finished.result(SECONDS)
    assert reply.usage is not None
    assert reply.usage.completion_tokens <= len(generation.tokens)
    generators["taught"].pause = 0.0


def test_other_roles_parts_and_unknown_fields(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="taught",
        messages=[{"role": "user", "content": [{"type": "text", "text": "su"}, {"type": "text", "text": "m"}]}],
        temperature=0,
        user="me",
        extra_body={"top_k": 5, "no_such_field": {}},
    )
    assert reply.choices[0].message.content == "It is 5."
    turns: list[Any] = [{"role": "developer", "content": "Be brief."}, *_user("a")]
    turns += [{"role": "assistant", "content": "b", "reasoning_content": "c"}, *_user("d")]
    reply = client.chat.completions.create(model="tiny", messages=turns, max_tokens=1)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len("Be brief.abd") + 2 * 4 + 1


def test_models_and_health(client: openai.OpenAI, port: int) -> None:
    assert [model.id for model in client.models.list()] == ["taught", "tiny"]
    status, body = _send(port, "GET", "/health")
    assert (status, body) == (200, {"status": "ok", "models": ["taught", "tiny"]})


def test_the_official_clients_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no model 'other' here, only: taught, tiny") as missing:
        client.chat.completions.create(model="other", messages=_user("x"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="tiny takes 512") as too_long:
        client.chat.completions.create(model="tiny", messages=_user("x" * 600))
    assert too_long.value.code == "context_length_exceeded"


# --- raw HTTP --------------------------------------------------------------------------------------------------------


def _send(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request(method, path, body)
    response = connection.getresponse()
    content = json.loads(response.read())
    connection.close()
    return response.status, content


_GOOD = {"model": "tiny", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, "messages.0.content"),
        ({"model": None}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"seed": "x"}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
def test_bad_fields_are_named(port: int, change: dict[str, Any], param: str) -> None:
    status, body = _send(port, "POST", "/v1/chat/completions", json.dumps({**_GOOD, **change}).encode())
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"].startswith(param)
    assert body["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'{"model": "\xff"}', b'"\\ud800"'])
def test_bodies_that_are_no_request(port: int, body: bytes) -> None:
    status, answer = _send(port, "POST", "/v1/chat/completions", body)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"


def test_a_body_that_is_too_large(port: int) -> None:
    status, answer = _send(port, "POST", "/v1/chat/completions", b" " * (MAX_BODY_BYTES + 1))
    assert status == 413
    assert answer["error"]["code"] == "request_too_large"


def test_other_paths_and_methods(port: int) -> None:
    for method, path, expected in (("GET", "/v1/other", 404), ("GET", "/v1/chat/completions", 405)):
        status, answer = _send(port, method, path)
        assert status == expected
        assert answer["error"]["type"] == "invalid_request_error"


def test_a_template_that_refuses(port: int, generators: dict[str, WatchedGenerator]) -> None:
    tokenizer = generators["taught"].local.tokenizer
    kept = tokenizer.chat_template
    tokenizer.chat_template = "{{ raise_exception('only one turn') }}"
    status, answer = _send(port, "POST", "/v1/chat/completions", json.dumps({**_GOOD, "model": "taught"}).encode())
    tokenizer.chat_template = kept
    assert status == 400
    assert "only one turn" in answer["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_writing_stops_when_the_client_hangs_up(
    port: int, generators: dict[str, WatchedGenerator], stream: bool
) -> None:
    generators["tiny"].pause = 0.01
    before = len(generators["tiny"].asked)
    body = json.dumps({**_GOOD, "max_tokens": 450, "n": 3, "seed": 0, "stream": stream}).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        deadline = time.monotonic() + SECONDS
        while len(generators["tiny"].asked) < before + 3 or not generators["tiny"].asked[-1].tokens:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    generations = generators["tiny"].asked[before:]
    ended = [generation.finished.result(SECONDS) for generation in generations]
    # With this seed the shortest one goes on for some 300 tokens: three seconds.
    assert set(ended) == {"cancelled"}
    assert all(len(generation.tokens) < 450 for generation in generations)
    generators["tiny"].pause = 0.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_model_is_reported(tiny_model: Path) -> None:
    generator = WatchedGenerator(tiny_model)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app({"tiny": generator}), log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    port = listener.getsockname()[1]

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    generator.local.model.forward = breaks
    for _ in range(2):
        status, answer = _send(port, "POST", "/v1/chat/completions", json.dumps(_GOOD).encode())
        assert status == 500
        assert answer["error"]["type"] == "server_error"
    generator.close()
    assert _send(port, "GET", "/health") == (503, {"status": "failed", "models": ["tiny"]})
    server.should_exit = True
    thread.join()
    listener.close()
