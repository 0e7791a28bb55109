"""Requests that are meant to break it: bodies, paths, headers, values; and that no key leaves it where none should."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import Any

import pytest
from sqlalchemy import Engine, text
from tests.serve.admin.conftest import Client

from stillroom.serve.admin.bounded import MAX_BODY_BYTES, Bounded
from stillroom.serve.database.engine import writing

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NOWHERE = f"acct_{'0' * 22}"


def test_bodies_that_are_no_json(owner: Client) -> None:
    nested = b"[" * 30_000
    for body in (
        b"{",
        b"",
        b"\xff\xfe",
        nested,
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b"null",
        b'"x"',
        b'{"name":"\\ud800"}',
    ):
        answer = owner.ask("POST", "/v1/organisations", body)
        assert answer.status in (400, 422), body[:20]
        assert set(answer.body["error"]) == {"message", "type", "code", "param"}


REFUSED: list[dict[str, Any]] = [
    {"name": ""},
    {"name": " x"},
    {"name": "x\n"},
    {"name": "x\u0000y"},
    {"name": "x\u001b[31my"},
    {"name": "x" * 101},
    {"name": 5},
    {"name": None},
    {"limits": {"concurrent": 0}},
    {"limits": {"concurrent": -1}},
    {"limits": {"concurrent": True}},
    {"limits": {"concurrent": "4"}},
    {"limits": {"concurrent": 1.5}},
    {"limits": {"concurrent": 10**30}},
    {"limits": {"usd_per_day": 2.5}},
    {"limits": {"usd_per_day": "-1"}},
    {"limits": {"usd_per_day": "1e9"}},
    {"limits": {"usd_per_day": "NaN"}},
    {"limits": {"usd_per_day": "0.0000000001"}},
    {"limits": {"usd_per_day": "1000000000"}},
    {"limits": {"usd_per_day": "٣"}},
    {"limits": {"requests_per_second": 1}},
    {"models": "gpt"},
    {"models": ["x"] * 1001},
    {"models": ["x" * 201]},
    {"retention": "yes"},
    {"retention": 1},
    {"retention": None},
    {"organisation": "org_1"},
    {"id": NOWHERE},
    {"billing_print": "ab" * 16},
]


def test_values_that_are_refused(operator: Client) -> None:
    account = operator.account(operator.organisation())
    for values in REFUSED:
        answer = operator.ask("PATCH", f"/v1/accounts/{account}", values)
        assert (answer.status, answer.code) == (422, "invalid_request"), values
        assert answer.body["error"]["param"].startswith(f"body.{next(iter(values))}")
    assert [event["event"] for event in operator.get("/v1/events", account=account)["data"]] == ["created"]


def test_a_body_that_is_too_large(owner: Client) -> None:
    just = json.dumps({"name": "x"}).encode().ljust(MAX_BODY_BYTES)
    assert owner.ask("POST", "/v1/organisations", just).status == 201
    answer = owner.ask("POST", "/v1/organisations", just + b" ")
    assert (answer.status, answer.code) == (413, "too_large")


def _raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def test_a_body_in_chunks_is_bounded_too(owner: Client) -> None:
    chunk = b"%x\r\n%s\r\n" % (1 << 15, b" " * (1 << 15))
    head = f"POST /v1/organisations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.key}\r\n".encode()
    answer = _raw(owner.port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)
    assert b" 413 " in answer


def test_two_credentials_are_none(owner: Client) -> None:
    head = f"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.key}\r\n".encode()
    assert b" 200 " in _raw(owner.port, head + b"\r\n")
    assert b" 401 " in _raw(owner.port, head + b"Authorization: Bearer x\r\n\r\n")
    assert b" 401 " in _raw(owner.port, head + f"authorization: Bearer {owner.key}\r\n\r\n".encode())


def test_two_lengths_are_refused(owner: Client) -> None:
    head = f"POST /v1/organisations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {owner.key}\r\n".encode()
    for lengths in (
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 5, 6\r\n",
    ):
        assert b" 400 " in _raw(owner.port, head + lengths + b"\r\nhello")


def test_a_key_in_the_address_opens_nothing(owner: Client, stranger: Client) -> None:
    for name in ("key", "api_key", "access_token", "Authorization"):
        assert stranger.ask("GET", f"/v1/accounts?{name}={owner.key}").status == 401
        answer = owner.ask("GET", f"/v1/accounts?{name}={owner.key}")
        assert answer.status == 422
        assert str(owner.key) not in repr(answer)


def test_paths_that_lead_elsewhere(owner: Client) -> None:
    account = owner.account(owner.organisation())
    for path in (
        f"/v1/accounts/{account}/",
        f"/v1//accounts/{account}",
        f"/v1/accounts/../accounts/{account}",
        f"/v1/accounts/%2e%2e/accounts/{account}",
        f"/v1/accounts/{account}%00",
        f"/v1/accounts/{account}' or '1'='1".replace(" ", "%20"),
        "/v1/accounts/%ff%fe",
        "/docs",
        "/",
    ):
        answer = owner.ask("GET", path)
        assert answer.status in (404, 422), path
    assert owner.ask("DELETE", f"/v1/accounts/{account}").code == "method_not_allowed"


def test_answers_are_not_kept(owner: Client) -> None:
    assert owner.ask("GET", "/v1/me").headers["cache-control"] == "no-store"
    assert owner.ask("GET", "/nowhere").headers["cache-control"] == "no-store"


def test_no_key_is_logged_or_repeated(owner: Client, caplog: pytest.LogCaptureFixture, engine: Engine) -> None:
    caplog.set_level(logging.DEBUG)
    account = owner.account(owner.organisation())
    made = owner.post(f"/v1/accounts/{account}/keys")
    keys = [str(owner.key), made["key"], owner.post(f"/v1/keys/{made['row']['id']}/rotate")["key"]]
    answers = [
        owner.ask("POST", f"/v1/accounts/{account}/keys", {"name": {"key": keys[1]}}),
        owner.ask("GET", f"/v1/keys/{keys[1]}"),
        Client(owner.port, keys[1]).ask("GET", "/v1/me"),
    ]
    with writing(engine) as connection:
        connection.execute(text("alter table keys rename to elsewhere"))
    answers.append(owner.ask("POST", f"/v1/accounts/{account}/keys", {}))
    assert [answer.status for answer in answers] == [422, 422, 401, 503]
    told = caplog.text + repr(answers)
    assert not any(key.split("-", 2)[2] in told for key in keys)


def test_a_database_that_is_gone(owner: Client, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("alter table admins rename to elsewhere"))
    assert owner.ask("GET", "/v1/me").code == "database_unavailable"


async def _not_asked(*_: Any) -> None:
    raise AssertionError("the application was asked")


def test_a_slow_body_is_not_waited_for(database_url: str) -> None:  # noqa: ARG001 - one database is enough
    """The clock of `Bounded` is short here; the client never sends the rest."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not sent:
            sent.append("first part")
            return {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Bounded(_not_asked, body_s=0.05)({"type": "http", "method": "POST"}, receive, send))
    assert sent[1]["status"] == 408


def test_half_a_body_does_nothing(database_url: str) -> None:  # noqa: ARG001
    """It may be whole JSON."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"name": "x"}', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_: Any) -> None:
        raise AssertionError("somebody who is gone was answered")

    asyncio.run(Bounded(_not_asked)({"type": "http", "method": "POST"}, receive, send))
    assert messages == []
