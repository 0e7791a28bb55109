"""Each fault, as it comes over the wire."""

from __future__ import annotations

import contextlib
import http.client
import inspect
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest

from stillroom.testing import Answer, MisbehavingTeacher, faults
from stillroom.testing.faults import FAULTS, Fault

Got: TypeAlias = Any
Ask = Callable[..., Got]

ANSWER = Answer("It is five.", "two and three")
ENDS = (ConnectionError, http.client.IncompleteRead)


def is_error(status: int, code: Any = None, **headers: str) -> Callable[[Got], bool]:
    def check(got: Got) -> bool:
        right_headers = all(got.headers.get(name.replace("_", "-")) == value for name, value in headers.items())
        return bool(got.status == status and got.json["error"]["code"] == code and right_headers)

    return check


def is_right(got: Got) -> bool:
    return bool(got.status == 200 and message_of(got) == right_message() and got.json["usage"] == right_usage())


def message_of(got: Got) -> Any:
    return got.json["choices"][0]["message"]


def right_message() -> dict[str, Any]:
    return {"role": "assistant", "content": ANSWER.content, "reasoning_content": ANSWER.reasoning_content}


def right_usage() -> dict[str, int]:
    return {"prompt_tokens": 2, "completion_tokens": 6, "total_tokens": 8}


def text_of_deltas(got: Got) -> str:
    deltas = [choice["delta"] for event in got.events[:-1] for choice in event["choices"]]
    return "".join(delta.get("reasoning_content") or delta.get("content") or "" for delta in deltas)


# What each fault makes of the reply to one request: a check of it, or the errors that http.client may raise.
SEEN: Mapping[str, tuple[Fault, dict[str, Any], Callable[[Got], bool] | tuple[type[Exception], ...]]] = {
    "http_error": (faults.http_error(418, "no", code="x"), {}, is_error(418, "x")),
    "rate_limited": (faults.rate_limited(7), {}, is_error(429, None, retry_after="7")),
    "quota_exhausted": (faults.quota_exhausted(), {}, is_error(429, "insufficient_quota")),
    "key_refused": (faults.key_refused(), {}, is_error(401, "invalid_api_key")),
    "no_such_model": (faults.no_such_model(), {}, is_error(404, "model_not_found")),
    "internal_error": (faults.internal_error(), {}, is_error(500)),
    "bad_gateway": (faults.bad_gateway(), {}, lambda got: got.status == 502 and got.body.startswith(b"<html>")),
    "unavailable": (faults.unavailable("3"), {}, is_error(503, None, retry_after="3")),
    "gateway_timeout": (faults.gateway_timeout(), {}, lambda got: got.status == 504),
    "overloaded": (faults.overloaded(), {}, is_error(529)),
    "content_filtered": (
        faults.content_filtered(),
        {},
        lambda got: (got.status, got.json["choices"][0]["finish_reason"]) == (400, "content_filter"),
    ),
    "n_refused": (faults.n_refused(), {"n": 2}, is_error(400, "invalid_n")),
    "reset": (faults.reset(), {}, (ConnectionResetError,)),
    "cut_off": (faults.cut_off(), {}, ENDS),
    "hung_up": (faults.hung_up(), {}, (http.client.RemoteDisconnected,)),
    "never_answered": (faults.never_answered(), {}, (TimeoutError,)),
    "slow": (faults.slow(0.01), {}, is_right),
    "slow_bytes": (faults.slow_bytes(0.02, pieces=7), {}, is_right),
    "stalled": (faults.stalled(0.01), {}, is_right),
    "blank_lines": (faults.blank_lines(9, 0.01), {}, lambda got: is_right(got) and got.body.startswith(b"\n" * 9)),
    "empty_body": (faults.empty_body(), {}, lambda got: (got.status, got.body) == (200, b"")),
    "truncated_json": (faults.truncated_json(), {}, lambda got: got.status == 200 and got.body.endswith(b'"hal')),
    "not_json": (
        faults.not_json(),
        {},
        lambda got: (got.status, got.headers["content-type"], got.body[:6]) == (200, "text/html", b"<html>"),
    ),
    "error_in_body": (faults.error_in_body(503), {}, is_error(200, 503)),
    "raw_body": (faults.raw_body(b"\x00"), {}, lambda got: got.body == b"\x00"),
    "huge_body": (faults.huge_body(1.5), {}, lambda got: len(got.body) > 1.5e6 and got.json["usage"] == right_usage()),
    "empty_choices": (
        faults.empty_choices(),
        {},
        lambda got: (got.json["choices"], got.json["usage"]["prompt_tokens"]) == ([], 9),
    ),
    "null_content": (
        faults.null_content("length"),
        {},
        lambda got: message_of(got)["content"] is None and got.json["usage"] is None,
    ),
    "missing_usage": (faults.missing_usage(), {}, lambda got: bool(message_of(got)) and "usage" not in got.json),
    "usage_as_text": (faults.usage_as_text(), {}, lambda got: got.json["usage"]["completion_tokens"] == "6"),
    "wrong_types": (faults.wrong_types(), {}, lambda got: isinstance(got.json["choices"], dict)),
    "invalid_utf8": (faults.invalid_utf8(), {}, lambda got: b"five.\xff\xfe\xc3" in got.body),
    "lone_surrogates": (
        faults.lone_surrogates(),
        {},
        lambda got: message_of(got)["content"] == "It is five.\ud83d" and b"\\ud83d" in got.body,
    ),
    "content_as_parts": (
        faults.content_as_parts(),
        {},
        lambda got: [part["type"] for part in message_of(got)["content"]] == ["thinking", "text"],
    ),
    "unclosed_think": (
        faults.unclosed_think(),
        {},
        lambda got: message_of(got) == {"role": "assistant", "content": "<think>\ntwo and three"},
    ),
    "fewer_choices": (
        faults.fewer_choices(2),
        {"n": 5},
        lambda got: (len(got.json["choices"]), got.json["usage"]["completion_tokens"]) == (2, 12),
    ),
    "limit_ignored": (
        faults.limit_ignored(4),
        {"max_tokens": 5},
        lambda got: (got.json["usage"]["completion_tokens"], len(message_of(got)["content"].split())) == (9, 6),
    ),
    "other_model": (
        faults.other_model("b", "fp_b"),
        {},
        lambda got: (got.json["model"], got.json["system_fingerprint"]) == ("b", "fp_b"),
    ),
    "keep_alive_comments": (
        faults.keep_alive_comments(4, 0.01),
        {"stream": True},
        lambda got: got.body.startswith(b": keep-alive\n\n" * 4 + b"data: ") and got.body.count(b": keep") > 10,
    ),
    "no_finish_reason": (
        faults.no_finish_reason(),
        {"stream": True},
        lambda got: (
            got.events[-1] == "[DONE]" and all(not event["choices"][0]["finish_reason"] for event in got.events[:-1])
        ),
    ),
    "ended_early": (
        faults.ended_early(),
        {"stream": True},
        lambda got: got.events[-1] != "[DONE]" and got.body.endswith(b"\n\n"),
    ),
    "error_in_stream": (
        faults.error_in_stream(500),
        {"stream": True},
        lambda got: got.events[-1]["error"]["code"] == 500 and len(got.events) > 3,
    ),
    "tiny_chunks": (
        faults.tiny_chunks(200),
        {"stream": True},
        lambda got: len(got.events) > 200 and text_of_deltas(got) == "two and threeIt is five.",
    ),
    "split_think_tags": (
        faults.split_think_tags(),
        {"stream": True},
        lambda got: (
            text_of_deltas(got) == "<think>\ntwo and three\n</think>\n\nIt is five." and b"think>" not in got.body
        ),
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_a_client_sees(ask: Ask, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault, fields, expected = SEEN[name]
    if name == "never_answered":
        monkeypatch.setattr(http.client.HTTPConnection, "connect", _impatient)
    with MisbehavingTeacher(lambda _: ANSWER, faults=[fault]) as teacher:
        if isinstance(expected, tuple):
            with pytest.raises(expected):
                ask(teacher.base_url, **fields)
        else:
            got = ask(teacher.base_url, **fields)
            assert expected(got), got
        (entry,) = teacher.ledger
        assert entry.fault == name == fault.name
        monkeypatch.undo()
        assert is_right(ask(teacher.base_url)), "the teacher answers well afterwards"


def _impatient(connection: http.client.HTTPConnection) -> None:
    connection.sock = socket.create_connection((connection.host, connection.port), timeout=0.2)


def test_every_fault_has_a_name_and_is_looked_at() -> None:
    defined = {
        name
        for name, value in inspect.getmembers(faults, inspect.isfunction)
        if value.__module__ == faults.__name__ and not name.startswith("_")
    }
    assert set(FAULTS) == defined == set(SEEN)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", [name for name, (_, _, expected) in SEEN.items() if not isinstance(expected, tuple)])
def test_what_a_reply_tells_is_what_is_charged(ask: Ask, name: str, stream: bool) -> None:
    """So that a client which counts right arrives at the same bill, call by call."""
    fault, fields, _ = SEEN[name]
    asked = fields | {"stream": stream, "stream_options": {"include_usage": True}}
    with MisbehavingTeacher(lambda _: ANSWER, faults=[fault]) as teacher:
        body = ask(teacher.base_url, **asked).body
        (entry,) = teacher.ledger
    told = [found for found in map(_usage_in, body.replace(b"data: ", b"").split(b"\n")) if found]
    assert told in ([], [(entry.prompt_tokens, entry.completion_tokens)])
    assert told or not entry.completion_tokens or name in UNTOLD, "only these are charged without saying so"


UNTOLD = {
    "gateway_timeout", "truncated_json", "null_content", "missing_usage", "usage_as_text", "wrong_types", "ended_early",
    "error_in_stream", "invalid_utf8",
}  # fmt: skip


def _usage_in(line: bytes) -> tuple[int, int] | None:
    try:
        usage = json.loads(line)["usage"]
        counts = usage["prompt_tokens"], usage["completion_tokens"]
    except (ValueError, TypeError, KeyError):
        return None
    return counts if all(isinstance(count, int) for count in counts) else None


@pytest.mark.parametrize("name", ["reset", "cut_off", "hung_up", "never_answered", "gateway_timeout", "missing_usage"])
def test_what_a_client_cannot_know_is_charged_all_the_same(ask: Ask, name: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "connect", _impatient)
    with MisbehavingTeacher(lambda _: ANSWER, faults=[SEEN[name][0]]) as teacher:
        with contextlib.suppress(ConnectionError, TimeoutError, http.client.IncompleteRead):
            ask(teacher.base_url)
        (entry,) = teacher.ledger
    assert (entry.prompt_tokens, entry.completion_tokens) == (2, 6)
    assert entry.status == {"cut_off": 200, "gateway_timeout": 504, "missing_usage": 200}.get(name)


@pytest.mark.parametrize("name", ["n_refused", "fewer_choices", "limit_ignored", "tiny_chunks", "ended_early"])
def test_a_fault_that_does_not_concern_a_request_leaves_it_alone(ask: Ask, name: str) -> None:
    with MisbehavingTeacher(lambda _: ANSWER, always=SEEN[name][0]) as teacher:
        assert is_right(ask(teacher.base_url))
        assert teacher.ledger[0].fault is None


def test_a_date_to_come_back_at(ask: Ask) -> None:
    with MisbehavingTeacher(always=faults.rate_limited(date_in_s=3600)) as teacher:
        got = ask(teacher.base_url)
        sent_s = teacher.ledger[0].at_us / 1e6
    ahead_s = parsedate_to_datetime(got.headers["retry-after"]).timestamp() - sent_s
    assert 3590 < ahead_s < 3700


def test_silences_and_ends_can_be_put_together(ask: Ask) -> None:
    fault = replace(faults.stalled(0.01), send_part=0.9, pieces=3, ending="close")
    with MisbehavingTeacher(lambda _: ANSWER, faults=[fault]) as teacher:
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(teacher.base_url)
        whole = ask(teacher.base_url).body
    assert 0 < len(caught.value.partial) < len(whole)
    assert whole.replace(b"chatcmpl-2", b"chatcmpl-1").startswith(caught.value.partial)


def test_half_of_a_stream_comes_before_it_is_cut(ask: Ask) -> None:
    with MisbehavingTeacher(lambda _: ANSWER, faults=[faults.cut_off()]) as teacher:
        address = urlsplit(teacher.base_url)
        body = json.dumps({"model": "teacher", "stream": True, "messages": [{"role": "user", "content": "a"}]})
        with socket.create_connection((address.hostname, address.port), timeout=60) as client:
            client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            received = bytearray()
            with pytest.raises(ConnectionResetError):
                _receive_into(received, client)
        assert b"[DONE]" not in received
        assert received.count(b"data: ") >= 3
        assert ask(teacher.base_url, stream=True).events[-1] == "[DONE]"


def _receive_into(received: bytearray, client: socket.socket) -> None:
    while data := client.recv(65536):
        received += data
