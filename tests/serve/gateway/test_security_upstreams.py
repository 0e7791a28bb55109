"""What an upstream can do to a client and the other way round: no address but those of the settings is ever asked, and
neither the upstream's key nor anything that it should not say reaches a client.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from tests.serve.gateway.wire import CLOSE, RawServer, ask, authorization, raw_chat, raw_server, request, statuses

from stillroom.serve.settings import UpstreamSettings

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway

CHAT = "/v1/chat/completions"
REPLY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


def _response(status: str, body: bytes = json.dumps(REPLY).encode(), fields: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
    return head % (status.encode(), len(body)) + fields + b"\r\n" + body


def _answers(cramped: RunningGateway, raw: bytes, key: str) -> bytes:
    """All that a client gets, byte for byte."""
    return ask(cramped.url, request(authorization(key) + CLOSE, json.dumps(raw_chat(raw)).encode()))


def test_a_redirect_is_not_followed_and_the_key_stays_here(cramped: RunningGateway) -> None:
    key = cramped.key()
    with raw_server() as elsewhere:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
            location = f"location: {elsewhere.url}/v1/chat/completions\r\n".encode()
            answer = _answers(cramped, _response(status, fields=location), key.key)
            assert statuses(answer) == [502], status
            assert elsewhere.url.encode() not in answer
    assert elsewhere.heads == []
    assert {row["status"] for row in cramped.calls_of(key, 5)} == {"failed"}


def test_no_request_says_where_it_goes(cramped: RunningGateway, model: ModelServer, upstream_key: str) -> None:
    key = cramped.key()
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        address = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        fields = (
            f"X-Forwarded-Host: {address}\r\nX-Original-URL: http://{address}/\r\nX-Upstream: http://{address}\r\n"
            f"Forwarded: host={address}\r\nProxy: http://{address}\r\nX-Proxy: http://{address}\r\n"
        ).encode()
        names = [
            f"http://{address}/v1",
            f"m@{address}",
            f"//{address}",
            f"m\r\nHost: {address}",
            "../m",
            f"m#{address}",
        ]
        for name in names:
            body = {"model": name, "messages": [{"role": "user", "content": "x"}]}
            assert cramped.post(CHAT, body, key.key)[0] == 404
        extra = {"base_url": f"http://{address}", "api_base": f"http://{address}", "url": f"http://{address}"}
        asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **extra}).encode()
        for path in (CHAT.encode(), f"http://{address}{CHAT}".encode()):
            sent = request(authorization(key.key) + CLOSE + fields, asked, path=path).replace(
                b"Host: x", b"Host: a.example"
            )
            assert statuses(ask(cramped.url, sent)) == [200]
        elsewhere.settimeout(0.2)
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    headers = model.get("/last")["headers"]
    assert headers["host"] == model.url.removeprefix("http://")
    assert headers["authorization"] == f"Bearer {upstream_key}"
    assert not {"x-forwarded-host", "forwarded", "proxy", "x-upstream"} & set(headers)


def test_nothing_of_the_client_that_is_not_its_request_reaches_the_upstream(
    cramped: RunningGateway, model: ModelServer, upstream_key: str
) -> None:
    key = cramped.key().key
    sent = {
        "cookie": "session=1",
        "x-api-key": key,
        "x-forwarded-for": "203.0.113.9",
        "idempotency-key": "1",
        "openai-organization": "org-of-somebody",
        "te": "trailers",
        "accept-encoding": "gzip",
        "user-agent": "a client",
        "referer": "http://intranet.example/",
        "anthropic-beta": "a-feature",
    }
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    assert cramped.post(CHAT, body, key, sent)[0] == 200
    headers = model.get("/last")["headers"]
    assert set(headers) <= {
        *("host", "accept", "accept-encoding", "content-type", "content-length", "user-agent"),
        *("authorization", "x-api-key", "anthropic-beta"),
    }
    assert headers["x-api-key"] == upstream_key
    assert headers["anthropic-beta"] == "a-feature"
    assert headers["accept-encoding"] == "identity"
    assert key not in json.dumps(headers)


HEADERS = {
    b"set-cookie: a=b\r\nx-powered-by: something\r\nserver: internal-17\r\nvia: 10.0.0.7\r\n": b"internal-17",
    b"x-stillroom-receipt: forged\r\nx-stillroom-call: forged\r\n": b"forged",
    b"x-request-id: \xe9\xff\r\n": b"\xff",
    b"x-request-id: a\tb\r\n": b"\t",
    b"www-authenticate: Basic realm=x\r\nlocation: http://internal/\r\n": b"internal",
}


def test_an_upstreams_headers_are_its_own(cramped: RunningGateway) -> None:
    key = cramped.key()
    for fields, hidden in HEADERS.items():
        for status in ("200 OK", "400 Bad Request"):
            answer = _answers(cramped, _response(status, fields=fields), key.key)
            assert statuses(answer) == [int(status[:3])], fields
            assert hidden not in answer, fields
            assert len([line for line in answer.split(b"\r\n") if line.startswith(b"x-stillroom-call: ")]) == 1
    answer = _answers(cramped, _response("200 OK", fields=b"x-request-id: req-1\r\n"), key.key)
    assert b"x-request-id: req-1\r\n" in answer
    assert len(cramped.calls_of(key, 11)) == 11


SPLITTING = {
    "a carriage return": b"x-request-id: a\rset-cookie: b=c\r\n",
    "a line feed": b"x-request-id: a\nset-cookie: b=c\r\n",
    "a folded line": b"x-request-id: a\r\n set-cookie: b=c\r\n",
    "a null byte": b"x-request-id: a\0b\r\n",
    "a response in a header": b"x-request-id: a\r\n\r\nHTTP/1.1 200 OK\r\nset-cookie: b=c\r\n",
    "two lengths": b"content-length: 5\r\n",
    "a length and chunks": b"transfer-encoding: chunked\r\n",
}


def test_no_response_of_an_upstreams_becomes_two(cramped: RunningGateway) -> None:
    key = cramped.key()
    for name, fields in SPLITTING.items():
        answer = _answers(cramped, _response("200 OK", fields=fields), key.key)
        assert len(statuses(answer)) == 1, name
        assert statuses(answer)[0] in (200, 502), name
        assert b"\nset-cookie" not in answer, name
    assert len(cramped.calls_of(key, len(SPLITTING))) == len(SPLITTING)


def test_only_200_is_a_reply_and_no_reply_is_unmetered(cramped: RunningGateway) -> None:
    key = cramped.key()
    for status in ("201 Created", "202 Accepted", "204 No Content", "206 Partial Content", "304 Not Modified", "599 X"):
        body = b"" if status[:3] in ("204", "304") else json.dumps(REPLY).encode()
        assert statuses(_answers(cramped, _response(status, body), key.key)) == [502], status
    assert statuses(_answers(cramped, b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", key.key)) == [502]
    assert statuses(_answers(cramped, b"NO HTTP\r\n\r\n", key.key)) == [502]
    assert statuses(_answers(cramped, _response("200 OK"), key.key)) == [200]
    rows = cramped.calls_of(key, 9)
    assert [row["status"] for row in rows] == ["failed"] * 8 + ["ok"]
    assert (rows[-1]["prompt_tokens"], rows[-1]["completion_tokens"]) == (3, 2)


def test_how_long_an_upstream_wants_to_be_left_alone(cramped: RunningGateway) -> None:
    key = cramped.key().key
    for told, passed in {
        b"7": 7,
        b"-1": None,
        b"\xc2\xb2": None,
        b"1e9": None,
        b"9999999": None,
        b"soon": None,
    }.items():
        busy = _response("429 Too Many Requests", fields=b"retry-after: %b\r\n" % told)
        status, _, headers = cramped.post(CHAT, raw_chat(busy), key)
        assert (status, headers.get("retry-after")) == (429, None if passed is None else str(passed))


def test_an_upstreams_words_hold_neither_its_key_nor_its_address(
    cramped: RunningGateway, raw_upstream: RawServer, upstream_key: str
) -> None:
    key = cramped.key().key
    address = raw_upstream.url.removeprefix("http://")
    told = {"error": {"message": f"{upstream_key} is no key at http://{address}/v1", "type": "x"}}
    for status in ("400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Oops"):
        code, body, headers = cramped.post(CHAT, raw_chat(_response(status, json.dumps(told).encode())), key)
        assert code == (502 if status[0] == "5" or status[:3] in ("401", "403") else int(status[:3]))
        assert json.loads(body)["error"]["message"]
        for secret in (upstream_key, address):
            assert secret not in body.decode()
            assert secret not in repr(headers)


def test_one_clients_request_takes_no_upstream_from_the_others(cramped: RunningGateway) -> None:
    """A request that a server can't stand says nothing about the server: the gateway stays ready."""
    key = cramped.key().key
    for name in ("raw", "m"):
        for _ in range(3):
            body = raw_chat(_response("500 Oops"), name) if name == "raw" else _failing()
            assert cramped.post(CHAT, body, key)[0] == 502
    assert cramped.get("/ready")[0] == 200


def _failing() -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": json.dumps({"status": 500})}]}


@pytest.mark.parametrize(
    "told",
    [
        {"base_url": "file:///etc/passwd"},
        {"base_url": "gopher://x/v1"},
        {"base_url": "http://user:password@host/v1"},
        {"base_url": "http:///v1"},
        {"base_url": "http://host/v1?key=1"},
        {"base_url": "http://host/v1#x"},
        {"base_url": "http://host", "health_path": ".elsewhere.example/"},
        {"base_url": "http://host", "health_path": "@elsewhere.example/"},
        {"base_url": "http://host", "health_path": ":81/"},
    ],
)
def test_addresses_in_the_settings_that_are_none(told: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        UpstreamSettings(**told)
