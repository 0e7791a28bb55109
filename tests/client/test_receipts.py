"""Receipts as they come: in a header, in a stream or by their id. Permits as they go out, and are refused."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.errors import PermitOver
from stillroom.base.records import Message, Reply
from stillroom.base.signatures import MAX_TOKEN_BYTES
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.reply import parse_reply
from stillroom.client.request import ChatRequest, RequestSettings, sent_messages
from stillroom.client.retry import is_transient, may_be_billed_unseen
from stillroom.client.settings import Endpoint, Sampling
from stillroom.client.told_receipt import read_receipt, receipt_to_fetch
from stillroom.store.journal import Journal
from stillroom.testing import MisbehavingTeacher, Owner
from stillroom.testing.faults import http_error

WIRE = "eyJh.eyJi.c2ln~c2FsdA"
BODY = b'{"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}'


def run(folder: Path, endpoint: Endpoint, count: int = 3, samples: int = 1) -> tuple[EngineCounts, list[str]]:
    settings = RequestSettings(endpoint, Sampling(max_tokens=50, temperature=1.0))
    requests = [
        ChatRequest(
            f"q{number}", sent_messages([Message(role="user", content=f"{number}?")]), settings, tuple(range(samples))
        )
        for number in range(count)
    ]
    said: list[str] = []
    with Journal(folder / "ask.sqlite") as journal:
        return asyncio.run(ask_all(requests, endpoint, journal, retries=0, announce=said.append)), said


def replies_in(folder: Path) -> list[Reply]:
    with Journal(folder / "ask.sqlite") as journal:
        return list(journal.replies())


def endpoint_at(teacher: MisbehavingTeacher, **settings: object) -> Endpoint:
    return Endpoint.model_validate({"model": "teacher", "base_url": teacher.base_url, "price": "none"} | settings)


@pytest.mark.parametrize("stream", [False, True])
def test_a_receipt_is_kept_with_each_sample_of_its_call(tmp_path: Path, stream: bool) -> None:
    with MisbehavingTeacher(owner=Owner()) as teacher:
        run(tmp_path, endpoint_at(teacher, stream=stream), samples=3)
    receipts = [reply.receipt for reply in replies_in(tmp_path)]
    assert len(receipts) == 9
    assert len(set(receipts)) == 3
    assert all(receipt is not None and receipt.count("~") == 1 for receipt in receipts)


@pytest.mark.parametrize(
    "receipt", ["nonsense", "a.b.c", "a.b.c~", "x" * (MAX_TOKEN_BYTES + 1), "a.b.c~d e", "a.b.c~é"]
)
def test_what_is_no_receipt_is_left_out_and_counted(tmp_path: Path, receipt: str) -> None:
    with answering(BODY, {"x-stillroom-receipt": receipt}) as base_url:
        counts, said = run(tmp_path, Endpoint(model="teacher", base_url=base_url, price="none"))
    assert [reply.receipt for reply in replies_in(tmp_path)] == [None] * 3
    assert [reply.status for reply in replies_in(tmp_path)] == ["ok"] * 3
    assert counts.bad_receipts == 3
    assert sum("receipt that is none" in sentence for sentence in said) == 1


def test_a_reply_without_a_receipt_is_a_reply(tmp_path: Path) -> None:
    with MisbehavingTeacher() as teacher:
        counts, said = run(tmp_path, endpoint_at(teacher))
    assert (counts.bad_receipts, said) == (0, [])
    assert [reply.receipt for reply in replies_in(tmp_path)] == [None] * 3


@pytest.mark.parametrize(("fetched", "kept"), [(WIRE, WIRE), ("nonsense", None)])
def test_a_receipt_too_long_for_a_header_is_fetched(tmp_path: Path, fetched: str, kept: str | None) -> None:
    pages = {"/receipts/abc": json.dumps({"id": "abc", "receipt": fetched}).encode()}
    with answering(BODY, {"x-stillroom-receipt-id": "abc"}, pages) as base_url:
        counts, _ = run(tmp_path, Endpoint(model="teacher", base_url=base_url, price="none"), count=1)
    assert [reply.receipt for reply in replies_in(tmp_path)] == [kept]
    assert counts.bad_receipts == (kept is None)


def test_a_receipt_that_is_not_to_be_had_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillroom.client.transport._RECEIPT_WAITS_S", (0.0, 0.0))
    with answering(BODY, {"x-stillroom-receipt-id": "abc"}) as base_url:
        counts, said = run(tmp_path, Endpoint(model="teacher", base_url=base_url, price="none"), count=1)
    assert [reply.receipt for reply in replies_in(tmp_path)] == [None]
    assert counts.bad_receipts == 1
    assert "nothing was found" in said[0]


@pytest.mark.parametrize("told", ["../../admin", "a b", "a/b", "", "x" * 101, "é"])
def test_an_id_leads_nowhere_else(told: str) -> None:
    assert receipt_to_fetch({"x-stillroom-receipt-id": told}, BODY) is None


@pytest.mark.parametrize(
    ("body", "receipt"),
    [
        (b"data: {}\n\n: stillroom-receipt a.b.c~d\n\ndata: [DONE]\n\n", "a.b.c~d"),
        (b"data: {}\r\n\r\n: stillroom-receipt a.b.c~d\r\n\r\ndata: [DONE]\r\n\r\n", "a.b.c~d"),
        (b": stillroom-receipt a.b.c~d", "a.b.c~d"),
        (b": stillroom-receipt a.b.c~d\n\n: stillroom-receipt e.f.g~h\n\n", "e.f.g~h"),
        (b'data: {"x": ": stillroom-receipt a.b.c~d"}\n\n', None),
        (b'{"x": ": stillroom-receipt a.b.c~d"}', None),
        (b'{"x": 1,\n: stillroom-receipt a.b.c~d\n}', None),
        (b": stillroom-receipt \xff.b.c~d\n\n", None),
        (b": stillroom-receipt " + b"a" * (MAX_TOKEN_BYTES + 9) + b".b.c~d\n\n", None),
    ],
)
def test_the_comment_of_a_stream(body: bytes, receipt: str | None) -> None:
    assert read_receipt({}, body).receipt == receipt


@given(header=st.none() | st.text(), body=st.binary() | st.binary().map(lambda end: b": stillroom-receipt " + end))
def test_whatever_comes_is_a_receipt_or_none(header: str | None, body: bytes) -> None:
    told = read_receipt({} if header is None else {"x-stillroom-receipt": header}, body)
    assert told.receipt is None or told.problem is None


def test_a_permit_goes_out_and_is_no_part_of_a_key(tmp_path: Path) -> None:
    owner = Owner()
    permit = owner.permit()
    (tmp_path / "permit").write_text(permit + "\n")
    with MisbehavingTeacher(owner=owner) as teacher:
        permitted = endpoint_at(teacher, permit=str(tmp_path / "permit"))
        run(tmp_path, permitted)
        assert {headers["x-stillroom-permit"] for headers in teacher.headers} == {permit}
        counts, _ = run(tmp_path, endpoint_at(teacher))
    assert counts.settled == 3


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("code", ["permit_spent", "permit_expired", "permit_revoked", "permit_model"])
def test_a_refused_permit_is_never_put_off(status: int, code: str) -> None:
    error = {"error": {"message": "rate limit: try again in 1 s", "code": code, "type": "permission_error"}}
    read = parse_reply(json.dumps(error).encode(), status)
    assert (read.status, read.error_kind) == ("failed", code)
    assert not is_transient(read.error_kind)
    assert not may_be_billed_unseen(read.error_kind, status, has_text=False)
    assert parse_reply(json.dumps(error).encode(), 200).error_kind == code


def test_a_spent_permit_leaves_its_questions_to_the_next(tmp_path: Path) -> None:
    owner = Owner()
    (tmp_path / "permit").write_text(owner.permit())
    spent = http_error(429, "no more calls", code="permit_spent", retry_after=1)
    with MisbehavingTeacher(owner=owner, always=spent) as teacher:
        with pytest.raises(PermitOver, match="is spent") as stop:
            run(tmp_path, endpoint_at(teacher, permit=str(tmp_path / "permit")))
        assert stop.value.exit_code == 3
        assert teacher.requests == 1
    assert replies_in(tmp_path) == []  # none is written off
    with MisbehavingTeacher(owner=owner) as teacher:
        counts, _ = run(tmp_path, endpoint_at(teacher, permit=str(tmp_path / "permit")))
        assert counts.replies == 3


@contextmanager
def answering(body: bytes, headers: dict[str, str], pages: dict[str, bytes] | None = None) -> Iterator[str]:
    """A server that gives every call this reply with these headers, and has a few pages beside."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(200, body, headers)

        def do_GET(self) -> None:
            page = (pages or {}).get(self.path)
            self._send(404 if page is None else 200, page or b"", {})

        def _send(self, status: int, content: bytes, told: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **told}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
