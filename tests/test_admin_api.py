"""The client of the admin API, in front of what is one and what is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from stillroom.admin_api import AdminApi
from stillroom.base.errors import ServeError, StillroomError, UsageError
from stillroom.cli import app

KEY = "sra-abcdefgh-secret"


@contextmanager
def server_that_answers(status: int, body: bytes, **headers: str) -> Iterator[tuple[AdminApi, list[str]]]:
    """A client of it, and the requests that come: method, path, credential, body."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            seen.append(f"{self.command} {self.path} {self.headers['authorization']} {sent}".strip())
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield AdminApi(f"http://127.0.0.1:{server.server_port}/", KEY), seen
        server.shutdown()
        thread.join()


def test_what_is_asked_and_answered() -> None:
    with server_that_answers(200, b'{"id":"x"}') as (api, seen):
        assert api.get("/v1/a", limit=3, organisation=None, name="a&b") == {"id": "x"}
        assert api.post("/v1/a", {"name": "é"}) == {"id": "x"}
        assert api.patch("/v1/a", {}) == {"id": "x"}
        assert api.post("/v1/a") == {"id": "x"}
    assert seen == [
        f"GET /v1/a?limit=3&name=a%26b Bearer {KEY}",
        f'POST /v1/a Bearer {KEY} {{"name":"é"}}',
        f"PATCH /v1/a Bearer {KEY} {{}}",
        f"POST /v1/a Bearer {KEY}",
    ]


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "unauthorized", StillroomError, "Look at STILLROOM_ADMIN_KEY."),
        (403, "forbidden", StillroomError, "told so"),
        (409, "conflict", StillroomError, "told so"),
        (422, "invalid_request", UsageError, "The gateway does not take told so"),
        (503, "database_unavailable", StillroomError, "told so"),
    ],
)
def test_problems_are_told_in_the_gateways_words(
    status: int, code: str, kind: type[StillroomError], words: str
) -> None:
    body = json.dumps({"error": {"message": "told so", "type": "x", "code": code, "param": None}}).encode()
    with server_that_answers(status, body) as (api, _), pytest.raises(StillroomError) as caught:
        api.get("/v1/a")
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b""), (200, b"<html>"), (200, b"[]"), (200, b"7"), (204, b""), (500, b"broken"), (404, b'{"error":"no"}')],
)
def test_what_is_no_admin_api_is_told(status: int, body: bytes) -> None:
    with server_that_answers(status, body) as (api, _), pytest.raises(ServeError) as caught:
        api.get("/v1/a")
    assert "not as an admin API does" in caught.value.what
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("page", [{}, {"data": None, "next": None}, {"data": [{}], "next": "a"}])
def test_a_list_that_is_none_or_never_ends_is_told(page: dict[str, object]) -> None:
    with (
        server_that_answers(200, json.dumps(page).encode()) as (api, _),
        pytest.raises(ServeError, match="not as an admin API does"),
    ):
        list(api.rows("/v1/a"))


def test_the_credential_goes_nowhere_else() -> None:
    with (
        server_that_answers(200, b"{}") as (elsewhere, seen_elsewhere),
        server_that_answers(307, b"", Location=f"{elsewhere._url}/v1/a") as (api, _),
        pytest.raises(ServeError, match="status 307"),
    ):
        api.get("/v1/a")
    assert seen_elsewhere == []


def test_a_limit_is_called_as_its_option_is() -> None:
    message = "body.limits.usd_per_day: should be an amount in USD."
    body = json.dumps({"error": {"message": message, "type": "x", "code": "invalid_request", "param": None}}).encode()
    with server_that_answers(422, body) as (api, _), pytest.raises(UsageError, match="take --usd-per-day: should be"):
        api.patch("/v1/accounts/acct_1", {})


def test_an_address_without_its_scheme_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", KEY)
    monkeypatch.setenv("STILLROOM_ADMIN_URL", "localhost:8001")
    with pytest.raises(UsageError, match="STILLROOM_ADMIN_URL is 'localhost:8001'"):
        AdminApi.from_environment()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://[::1", "no address of the web"),
        ("http://", "no address of the web"),
        ("http://127.0.0.1:99999", "no address of the web"),
        ("http://user:secret@127.0.0.1:1", "more in it than an address"),
        ("http://user:secret@127.0.0.1:x", "no address of the web"),
        ("http://127.0.0.1:1?x=1", "more in it than an address"),
    ],
)
def test_an_address_that_is_none_is_told_and_no_password_in_it(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", KEY)
    monkeypatch.setenv("STILLROOM_ADMIN_URL", url)
    with pytest.raises(UsageError, match=words) as caught:
        AdminApi.from_environment()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["sra-a\nb", "sra-\x01", "sra-\u043a", "sra-\udcff"])
def test_a_credential_that_no_header_holds_is_told(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", key)
    with pytest.raises(UsageError, match="STILLROOM_ADMIN_KEY holds no key"):
        AdminApi.from_environment()


@pytest.mark.parametrize("value", ["\udcff", 10**20])
def test_what_json_cannot_hold_is_not_sent(value: str | int) -> None:
    with server_that_answers(200, b"{}") as (api, seen):
        with pytest.raises(UsageError, match="cannot be sent"):
            api.post("/v1/a", {"x": value})
        assert seen == []


PATHS = ["organisations", "accounts", "accounts/acct_1/keys", "admins", "permits", "events"]


@pytest.mark.parametrize("row", [None, 5, {}, {"id": 5, "limits": None, "created_at": 10**18, "says": {}}])
@pytest.mark.parametrize("path", PATHS)
def test_a_row_that_is_none_is_told(path: str, row: object) -> None:
    body = json.dumps({"data": [row], "next": None}).encode()
    with server_that_answers(200, body) as (api, _), pytest.raises(ServeError, match=f"answered /v1/{path} as no"):
        list(api.rows(f"/v1/{path}"))


@pytest.mark.parametrize("path", [*PATHS[:-1], "keys/key_1/rotate", "keys/key_1/revoke", "accounts/acct_1/close"])
def test_an_answer_without_its_fields_is_told(path: str) -> None:
    with server_that_answers(200, b"{}") as (api, _), pytest.raises(ServeError, match=f"answered /v1/{path} as no"):
        api.post(f"/v1/{path}", {})


def test_what_a_server_says_cannot_write_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", KEY)
    body = json.dumps({"error": {"message": "no\x1b[2J\x1b]0;title\x07 way"}}).encode()
    with server_that_answers(409, body) as (api, _):
        monkeypatch.setenv("STILLROOM_ADMIN_URL", api._url)
        result = CliRunner().invoke(app, ["organisation", "create", "x"])
    assert result.exit_code == 1
    assert "Error: no\ufffd[2J" in result.stderr
    assert "\x1b" not in result.stderr
