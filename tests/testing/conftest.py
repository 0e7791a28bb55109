"""Asking a teacher over plain HTTP, where every byte can be looked at."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """What the lines `data: ` of a stream hold, the last one (`[DONE]`) as text."""
        lines = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


Ask = Callable[..., Got]


def _ask(base_url: str, question: str = "a b?", request_id: str | None = None, **fields: Any) -> Got:
    """Ask once, over a connection of its own. Raises what http.client raises where the connection ends too early."""
    body = {"model": "teacher", "messages": [{"role": "user", "content": question}]} | fields
    address = urlsplit(base_url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    headers = {} if request_id is None else {"X-Client-Request-Id": request_id}
    try:
        connection.request("POST", f"{address.path}/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        return Got(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


@pytest.fixture
def ask() -> Ask:
    return _ask
