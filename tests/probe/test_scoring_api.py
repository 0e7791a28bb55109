"""Likelihoods by an endpoint that scores given text: stillroom's own server, and servers that do it wrongly."""

from __future__ import annotations

import json
import math
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from stillroom.base.errors import DataError, KeyRefused, ModelError, StoreError, TeacherError, TeacherUnreachable
from stillroom.client.settings import Endpoint
from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.probe.likelihood import likelihoods
from stillroom.probe.score_journal import ScoreJournal
from stillroom.probe.scoring_api import JOURNAL, api_likelihoods
from stillroom.serve.app import make_app
from stillroom.store.siblings import Pair, messages_json, question_id_of

Body = dict[str, Any]
Reply = tuple[int, Any]


def pair(first: str, second: str, number: int = 0, question: str = "sum") -> Pair:
    messages = [{"role": "user", "content": question}]
    return Pair(f"p{number}", question_id_of(messages), messages_json(messages), first, second)


PAIRS = [
    pair("It is 5.", "It's five, I think.", 0),
    pair("<think>\n2 + 3\n</think>\n\n5", "naïve ☕", 1, "What is 2 + 3?"),
    pair("no thoughts, none", "no thoughts at all", 2, "x" * 600),
]


@pytest.fixture
def tokenizer(tiny_model: Path, tmp_path: Path) -> Path:
    """The folder without the weights."""
    folder = tmp_path / "tokenizer"
    shutil.copytree(tiny_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def right(body: Body) -> Reply:
    """As vLLM answers: each prompt's tokens, and one that was written."""
    listed = [[None, *[-1.5] * len(prompt)] for prompt in body["prompt"]]
    choices = [
        {"index": place, "text": "", "logprobs": {"token_logprobs": scores}} for place, scores in enumerate(listed)
    ]
    return 200, {"choices": choices[::-1]}


class Scorer:
    """A server on loopback whose answers are given to it, one for each request, the last one again and again."""

    def __init__(self, *answers: Callable[[Body], Reply]) -> None:
        self.answers = list(answers)
        self.bodies: list[Body] = []

    def answer(self, body: Body) -> Reply:
        self.bodies.append(body)
        return self.answers[min(len(self.bodies), len(self.answers)) - 1](body)

    @contextmanager
    def running(self) -> Iterator[Endpoint]:
        scorer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/completions"
                status, told = scorer.answer(body)
                data = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Endpoint(model="tiny", base_url=f"http://127.0.0.1:{server.server_port}/v1", price="none")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """As `stillroom serve` does, in this process."""
    generator = Generator(load_model(model), threads=1)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(make_app({"tiny": generator}), log_level="warning", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_the_api_says_what_the_weights_say(tiny_model: Path, tokenizer: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with serving(tiny_model) as url:
        endpoint = Endpoint(model="tiny", base_url=url, price="none")
        by_api = api_likelihoods(
            PAIRS, endpoint, tokenizer, "suspect", tmp_path, on_progress=lambda done, of: told.append((done, of))
        )
    for api, own in zip(by_api, likelihoods(PAIRS, load_model(tiny_model), "suspect"), strict=True):
        assert (api.pair_id, api.model, api.tokens) == (own.pair_id, own.model, own.tokens)
        assert api.first == pytest.approx(own.first, abs=1e-3, nan_ok=True)
        assert api.second == pytest.approx(own.second, abs=1e-3, nan_ok=True)
    assert told[-1] == (2, 2)
    assert by_api[2].tokens == 0
    # All of it is in the journal: nobody need be asked again.
    nobody = Endpoint(model="tiny", base_url="http://127.0.0.1:9/v1", price="none")
    again = api_likelihoods(PAIRS[:2], nobody, tokenizer, "suspect", tmp_path)
    assert again == by_api[:2]


def test_both_replies_go_in_one_call_as_tokens_and_come_back_in_any_order(tokenizer: Path, tmp_path: Path) -> None:
    scorer = Scorer(right)
    with scorer.running() as endpoint:
        (row,) = api_likelihoods(PAIRS[:1], endpoint, tokenizer, "base", tmp_path)
    (body,) = scorer.bodies
    assert body["echo"] is True
    assert (body["max_tokens"], body["temperature"], body["model"]) == (1, 0, "tiny")
    assert len(body["prompt"]) == 2
    assert all(isinstance(token, int) for prompt in body["prompt"] for token in prompt)
    assert (row.first, row.second, row.tokens, row.model) == (-12.0, -12.0, 8, "base")


def changed(change: Callable[[list[Any]], Any]) -> Callable[[Body], Reply]:
    def answer(body: Body) -> Reply:
        status, told = right(body)
        for choice in told["choices"]:
            choice["logprobs"]["token_logprobs"] = change(choice["logprobs"]["token_logprobs"])
        return status, told

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        changed(lambda scores: scores[-1:]),
        changed(lambda _: None),
        changed(lambda scores: [None] * len(scores)),
        changed(lambda scores: [0.5] * len(scores)),
        changed(lambda scores: ["-1"] * len(scores)),
        changed(lambda scores: [-1e308] * len(scores)),
        lambda _: (200, {"choices": [{"text": "x", "logprobs": None}] * 2}),
        lambda _: (200, {"choices": []}),
        lambda _: (200, {"choices": "none"}),
        lambda _: (200, {"hello": 1}),
        lambda _: (400, {"error": {"message": "Only no echo is supported"}}),
        lambda _: (501, b"<html>no</html>"),
        lambda _: (200, b'{"choices": [NaN]}'),
    ],
    ids=[
        "new_tokens_alone",
        "no_list",
        "nulls",
        "above_0",
        "texts",
        "beyond_sums",
        "no_logprobs",
        "no_choices",
        "a_text",
        "other",
        "400",
        "501",
        "no_json",
    ],
)
def test_a_server_that_scores_nothing_is_never_taken_for_one_that_does(
    tokenizer: Path, tmp_path: Path, answer: Callable[[Body], Reply]
) -> None:
    with Scorer(answer).running() as endpoint, pytest.raises(TeacherError):
        api_likelihoods(PAIRS[:2], endpoint, tokenizer, "suspect", tmp_path, retries=0)


def test_another_tokenizer_is_found(tokenizer: Path, tmp_path: Path) -> None:
    def other(body: Body) -> Reply:
        status, told = right(body)
        for choice, prompt in zip(told["choices"], body["prompt"][::-1], strict=True):
            choice["logprobs"]["tokens"] = ["xyz"] * len(prompt)
        return status, told

    with Scorer(other).running() as endpoint, pytest.raises(DataError, match="other tokens"):
        api_likelihoods(PAIRS[:1], endpoint, tokenizer, "suspect", tmp_path)


def test_a_pair_that_the_server_cannot_take_is_no_number(tokenizer: Path, tmp_path: Path) -> None:
    def too_long(_: Body) -> Reply:
        return 400, {"error": {"message": "maximum context length exceeded", "code": "context_length_exceeded"}}

    scorer = Scorer(right, too_long)
    with scorer.running() as endpoint:
        rows = api_likelihoods(PAIRS[:2], endpoint, tokenizer, "suspect", tmp_path)
    assert sorted(row.tokens for row in rows) == [0, rows[0].tokens or rows[1].tokens]
    assert sum(math.isnan(row.first) and math.isnan(row.second) for row in rows) == 1


def test_what_passes_is_asked_again_and_what_came_before_is_kept(tokenizer: Path, tmp_path: Path) -> None:
    scorer = Scorer(lambda _: (500, b""), lambda _: (429, b""), right)
    with scorer.running() as endpoint:
        (row,) = api_likelihoods(PAIRS[:1], endpoint, tokenizer, "suspect", tmp_path, retries=1)
        assert len(scorer.bodies) == 3
        scorer.answers = [lambda _: (500, b"")]
        with pytest.raises(TeacherError, match="again and again"):
            api_likelihoods(PAIRS[:2], endpoint, tokenizer, "suspect", tmp_path, retries=0)
        scorer.answers = [right]
        asked = len(scorer.bodies)
        first, second = api_likelihoods(PAIRS[:2], endpoint, tokenizer, "suspect", tmp_path)
        assert len(scorer.bodies) == asked + 1
    assert first == row
    assert second.tokens > 0


def test_a_refused_key_and_a_silent_address_are_said(tokenizer: Path, tmp_path: Path) -> None:
    with Scorer(lambda _: (401, b"no")).running() as endpoint, pytest.raises(KeyRefused):
        api_likelihoods(PAIRS[:1], endpoint, tokenizer, "suspect", tmp_path)
    nobody = Endpoint(model="tiny", base_url="http://127.0.0.1:9/v1", price="none")
    with pytest.raises(TeacherUnreachable):
        api_likelihoods(PAIRS[:1], nobody, tokenizer, "suspect", tmp_path)


def test_one_asker_at_a_time_and_a_folder_with_a_tokenizer(tokenizer: Path, tmp_path: Path) -> None:
    nobody = Endpoint(model="tiny", base_url="http://127.0.0.1:9/v1", price="none")
    with ScoreJournal(tmp_path / JOURNAL), pytest.raises(StoreError, match="in use"):
        api_likelihoods(PAIRS[:1], nobody, tokenizer, "suspect", tmp_path)
    with pytest.raises(ModelError):
        api_likelihoods(PAIRS[:1], nobody, tmp_path, "suspect", tmp_path)
    (tmp_path / JOURNAL).write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        api_likelihoods(PAIRS[:1], nobody, tokenizer, "suspect", tmp_path)
