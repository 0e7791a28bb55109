"""A server that answers every request with the bytes it is told, and the companies' own packages that ask it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import openai
import pytest


class _Server(ThreadingHTTPServer):
    status = 200
    kind = "application/json"
    body = b""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(server.status)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def openai_client(server: _Server) -> Iterator[openai.OpenAI]:
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(server: _Server) -> Iterator[anthropic.Anthropic]:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client
