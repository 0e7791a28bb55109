from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import pytest

from stillroom.base.errors import ServeError
from stillroom.testing import Answer, Limits, MisbehavingTeacher, Rule
from stillroom.testing.faults import cut_off, empty_choices, never_answered, other_model, rate_limited, reset, slow

Ask = Callable[..., Any]


def post(teacher: MisbehavingTeacher, text: str = "a?", model: str = "teacher", key: str | None = None) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(f"{teacher.base_url}/chat/completions", json.dumps(body).encode())
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    response: HTTPResponse
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def refused(teacher: MisbehavingTeacher, **how: Any) -> urllib.error.HTTPError:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(teacher, **how)
    caught.value.close()
    return caught.value


def test_it_answers_as_told_and_counts() -> None:
    with MisbehavingTeacher(lambda question: Answer(f"{question} Yes.", "hm")) as teacher:
        reply = post(teacher, "a b?")
        assert reply["choices"][0]["message"] == {
            "role": "assistant",
            "content": "a b? Yes.",
            "reasoning_content": "hm",
        }
        assert reply["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
        post(teacher, "a b?")
        assert (teacher.requests, teacher.by_question, teacher.charged_tokens) == (2, {"a b?": 2}, 8)
        assert teacher.bodies[0]["model"] == "teacher"


def test_faults_are_met_in_order_and_by_question() -> None:
    faults = {"b?": [rate_limited("3"), None]}
    with MisbehavingTeacher(
        faults=[None, empty_choices()], faults_by_question=faults, always=rate_limited()
    ) as teacher:
        assert post(teacher)["choices"]
        error = refused(teacher, text="b?")
        assert (error.code, error.headers["Retry-After"]) == (429, "3")
        assert post(teacher, "b?")["choices"]
        assert post(teacher)["choices"] == []
        assert refused(teacher).headers["Retry-After"] is None
        assert teacher.requests == 5


def test_connections_are_reset_for_real() -> None:
    with MisbehavingTeacher(faults=[reset(), cut_off()]) as teacher:
        with pytest.raises(ConnectionError):
            post(teacher)
        with pytest.raises((ConnectionError, IncompleteRead, urllib.error.URLError)):
            post(teacher)
        assert teacher.requests == 2


def test_keys_models_and_paths() -> None:
    with MisbehavingTeacher(api_key="k", models=["one", "two"]) as teacher:
        assert refused(teacher, model="one").code == 401
        assert refused(teacher, model="three", key="k").code == 404
        assert post(teacher, model="two", key="k")["model"] == "two-served"
        with urllib.request.urlopen(f"{teacher.base_url}/models", timeout=60) as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["one", "two"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{teacher.base_url}/nothing", timeout=60)
        caught.value.close()
        assert caught.value.code == 404


def test_several_choices_cost_the_prompt_once(ask: Ask) -> None:
    with MisbehavingTeacher(lambda _: Answer("1 2 3")) as teacher:
        got = ask(teacher.base_url, "a b", n=4).json
        assert [choice["index"] for choice in got["choices"]] == [0, 1, 2, 3]
        assert got["usage"] == {"prompt_tokens": 2, "completion_tokens": 12, "total_tokens": 14}


def test_answers_are_given_in_turn(ask: Ask) -> None:
    with MisbehavingTeacher(
        lambda _: [Answer("a"), Answer("b"), Answer("c")], faults=[None, rate_limited()]
    ) as teacher:
        said = []
        for n in (2, 1, 1, 3):
            choices = ask(teacher.base_url, n=n).json.get("choices", [])
            said.append("".join(choice["message"]["content"] for choice in choices))
        assert said == ["ab", "", "c", "abc"]


@pytest.mark.parametrize(
    ("limits", "tokens", "content", "reasoning", "finish"),
    [
        ({}, 5, "1 2 3", "a b", "stop"),
        ({"max_tokens": 5}, 5, "1 2 3", "a b", "stop"),
        ({"max_tokens": 4}, 4, "1 2", "a b", "length"),
        ({"max_tokens": 2}, 2, "", "a b", "length"),
        ({"max_completion_tokens": 1, "max_tokens": 9}, 1, "", "a", "length"),
    ],
)
def test_the_limit_cuts(
    ask: Ask, limits: dict[str, int], tokens: int, content: str, reasoning: str, finish: str
) -> None:
    with MisbehavingTeacher(lambda _: Answer("1 2 3", "a b")) as teacher:
        got = ask(teacher.base_url, **limits).json
        assert got["choices"][0]["message"] == {
            "role": "assistant",
            "content": content,
            "reasoning_content": reasoning,
        }
        assert got["choices"][0]["finish_reason"] == finish
        assert got["usage"]["completion_tokens"] == tokens == teacher.charged_tokens


def test_an_answer_that_says_its_own_count_is_cut_by_it(ask: Ask) -> None:
    with MisbehavingTeacher(lambda _: Answer("word", completion_tokens=50)) as teacher:
        got = ask(teacher.base_url, max_tokens=40).json
        assert got["choices"][0]["finish_reason"] == "length"
        assert got["usage"]["completion_tokens"] == 40


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"messages": [{"role": "user", "content": "a"}]}',
        b'{"model": "teacher"}',
        b'{"model": "teacher", "messages": []}',
        b'{"model": "teacher", "messages": [7]}',
        b'{"model": "teacher", "messages": [{"role": "user", "content": "a"}], "n": 0}',
        b'{"model": "teacher", "messages": [{"role": "user", "content": "a"}], "max_tokens": "9"}',
    ],
)
def test_what_is_no_request_is_refused_and_in_no_book(body: bytes) -> None:
    with MisbehavingTeacher() as teacher:
        request = urllib.request.Request(f"{teacher.base_url}/chat/completions", body, method="POST")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=60)
        caught.value.close()
        assert (caught.value.code, teacher.requests) == (400, 0)


def test_content_in_parts_is_read(ask: Ask) -> None:
    parts = [{"type": "text", "text": "a b"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": " c"}]
    with MisbehavingTeacher() as teacher:
        got = ask(teacher.base_url, messages=[{"role": "user", "content": parts}])
        assert got.json["usage"]["prompt_tokens"] == 3
        assert teacher.by_question == {"a b c": 1}


def test_one_connection_serves_many_requests_also_ones_sent_ahead() -> None:
    body = json.dumps({"model": "teacher", "messages": [{"role": "user", "content": "a"}]})
    request = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    last = request.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    with MisbehavingTeacher(faults=[slow(0.02), None, rate_limited()]) as teacher:
        with _connect(teacher) as client:
            client.sendall(request + request[:20])
            client.sendall(request[20:] + request + last)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        assert [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]] == [200, 200, 429, 200]


def test_a_body_without_a_length_is_refused(ask: Ask) -> None:
    with MisbehavingTeacher() as teacher:
        with _connect(teacher) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            )
            received = b"".join(iter(lambda: client.recv(65536), b""))
        assert received.startswith(b"HTTP/1.1 411 ")
        assert ask(teacher.base_url).status == 200


def test_a_large_body_that_waits_to_be_wanted() -> None:
    body = json.dumps({"model": "teacher", "messages": [{"role": "user", "content": "a" * 3_000_000}]}).encode()
    with MisbehavingTeacher() as teacher, _connect(teacher) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_who_hangs_up_is_no_longer_in_flight() -> None:
    with MisbehavingTeacher(always=never_answered()) as teacher:
        clients = [_send(teacher) for _ in range(3)]
        _wait_until(lambda: teacher.in_flight == 3)
        for client in clients:
            client.close()
        _wait_until(lambda: teacher.in_flight == 0)
        assert (teacher.most_in_flight, len(teacher.ledger)) == (3, 3)


def test_above_its_limits_it_refuses(ask: Ask) -> None:
    with MisbehavingTeacher(limits=Limits(in_flight=2), faults=[never_answered()] * 2) as teacher:
        clients = [_send(teacher) for _ in range(2)]
        _wait_until(lambda: teacher.in_flight == 2)
        got = ask(teacher.base_url)
        assert (got.status, got.headers["retry-after"]) == (429, "1")
        assert teacher.by_fault == {"never_answered": 2, "in_flight_limit": 1}
        clients[0].close()
        _wait_until(lambda: teacher.in_flight == 1)
        assert ask(teacher.base_url).status == 200
        clients[1].close()
    with MisbehavingTeacher(limits=Limits(requests_per_minute=3, headers=True)) as teacher:
        got = [ask(teacher.base_url) for _ in range(5)]
        assert [one.status for one in got] == [200, 200, 200, 429, 429]
        assert [one.headers["x-ratelimit-remaining-requests"] for one in got] == ["2", "1", "0", "0", "0"]
        assert 1 <= int(got[4].headers["retry-after"]) <= 20
        assert teacher.by_fault == {"rate_limit": 2}
        assert teacher.charged_tokens == sum(one.json["usage"]["completion_tokens"] for one in got[:3])


def test_rules_come_after_the_faults_that_were_listed(ask: Ask) -> None:
    rules = [Rule(rate_limited(), question="b"), Rule(other_model("new"), after=2)]
    with MisbehavingTeacher(faults=[reset()], rules=rules, always=slow(0)) as teacher:
        with pytest.raises(ConnectionError):
            ask(teacher.base_url, "a")
        assert ask(teacher.base_url, "a b").status == 429
        assert ask(teacher.base_url, "a").json["model"] == "teacher-served"
        assert ask(teacher.base_url, "a").json["model"] == "new"
        assert [entry.fault for entry in teacher.ledger] == ["reset", "rate_limited", "slow", "other_model"]


@pytest.mark.parametrize("shape", ["uniform", "heavy_tailed"])
def test_delays_depend_on_seed_question_and_attempt_alone(shape: Any) -> None:
    def delays(seed: int, questions: list[str]) -> list[tuple[str, float]]:
        teacher = MisbehavingTeacher(delay_s=(0.02, 2.0), delay_shape=shape, seed=seed)
        return sorted((question, teacher._draw(question)[1]) for question in questions)

    questions = [f"Question {number}?" for number in range(2000)]
    first = delays(1, questions + questions)
    assert first == delays(1, questions[::-1] * 2) != delays(2, questions + questions)
    drawn = sorted(delay_s for _, delay_s in first)
    assert len(set(drawn)) == 4000
    assert 0.02 <= drawn[0] < drawn[-1] <= 2.0
    assert drawn[-1] > 1.5
    assert (0.035 < drawn[2000] < 0.045) if shape == "heavy_tailed" else (0.95 < drawn[2000] < 1.1)


def test_a_heavy_tail_needs_a_lower_bound() -> None:
    with pytest.raises(ValueError, match="above 0"):
        MisbehavingTeacher(delay_s=(0, 1), delay_shape="heavy_tailed")


def test_what_breaks_in_the_teacher_is_heard_of() -> None:
    def broken(_: str) -> Answer:
        raise LookupError("no answer to this")

    def ask_it() -> None:
        with MisbehavingTeacher(broken) as teacher:
            with pytest.raises(http.client.RemoteDisconnected):
                post(teacher)
            assert teacher.in_flight == 0

    with pytest.raises(LookupError, match="no answer to this"):
        ask_it()


def test_it_can_come_back_at_the_same_address(ask: Ask) -> None:
    teacher = MisbehavingTeacher()
    with teacher:
        ask(teacher.base_url)
        address = teacher.base_url
        port = urlsplit(address).port
        assert port is not None
        with pytest.raises(ServeError, match=f"Port {port} cannot be used"), MisbehavingTeacher(port=port):
            pass
    with pytest.raises(ConnectionRefusedError):
        ask(address)
    with MisbehavingTeacher(port=port) as other:
        assert other.base_url == address
        assert ask(address).status == 200
    with teacher:
        ask(teacher.base_url)
        assert teacher.requests == 2


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with MisbehavingTeacher(always=never_answered()) as teacher, _connect(teacher) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
        client.recv(100)
    assert threading.active_count() == before


def _connect(teacher: MisbehavingTeacher) -> socket.socket:
    address = urlsplit(teacher.base_url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), timeout=60)


def _send(teacher: MisbehavingTeacher) -> socket.socket:
    """A client that has asked, and waits for its answer."""
    client = _connect(teacher)
    body = json.dumps({"model": "teacher", "messages": [{"role": "user", "content": "a"}]})
    client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return client


def _wait_until(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(6000):
        if holds():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come true within a minute")
