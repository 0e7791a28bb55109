"""Streams that end in other ways than the APIs' own servers end them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from stillroom.client.reply import parse_reply
from stillroom.client.told_receipt import read_receipt

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import Start

BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}'


def _chunk(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"model": "m-1", "choices": [choice]}).encode()


class _Server(ThreadingHTTPServer):
    stream = b""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(self.server.stream)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _letters(stream: bytes) -> bytes:
    return stream.translate(None, b"\r\n")


def test_each_end_is_understood(start_gateway: Start, server: _Server) -> None:
    said = [_chunk("One "), _chunk("two."), _chunk("", "stop")]
    lines = b"\n\n".join([*said, USAGE])
    ends = {
        "as it should": (lines + b"\n\ndata: [DONE]\n\n", "ok"),
        "no blank line at the end": (lines + b"\n\ndata: [DONE]\n", "ok"),
        "no line end at the end": (lines + b"\n\ndata: [DONE]", "ok"),
        "no [DONE]": (lines + b"\n\n", "ok"),
        "no blank line after the usage": (lines, "ok"),
        "no blank lines at all": (b"\n".join([*said, USAGE, b"data: [DONE]\n"]), "ok"),
        "carriage returns": ((lines + b"\n\ndata: [DONE]\n\n").replace(b"\n", b"\r\n"), "ok"),
        "cut before the reason": (b"\n\n".join(said[:2]) + b"\n\n", "failed"),
        "cut inside an event": (b"\n\n".join(said)[:-20], "failed"),
    }
    gateway = start_gateway(f"http://127.0.0.1:{server.server_address[1]}")
    key = gateway.key()
    for stream, outcome in ends.values():
        server.stream = stream
        status, passed, headers = gateway.post("/v1/chat/completions", BODY, key.key)
        assert status == 200
        told = read_receipt(headers, passed)
        read = parse_reply(passed)
        if outcome == "ok":
            assert told.receipt is not None
            assert (read.status, read.answer) == ("ok", "One two.")
            comment = f": stillroom-receipt {told.receipt}\n\n".encode()
            assert _letters(passed.replace(comment, b"")) == _letters(stream.replace(USAGE, b""))
        else:
            assert told.receipt is None
            assert read.status == "failed"
    assert gateway.stop() == ""
    rows = gateway.calls()
    assert [row["status"] for row in rows] == [outcome for _, outcome in ends.values()]
    assert {row["completion_tokens"] for row in rows if row["status"] == "ok"} == {3}
