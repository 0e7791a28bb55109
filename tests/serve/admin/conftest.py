"""The admin API as a server on this machine, and a client for each role."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import uvicorn
from sqlalchemy import Engine

from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.rows import Role
from stillroom.serve.admin.app import make_admin_app
from stillroom.store.secrets import Secrets

SECRETS = Secrets(b"s" * 32)


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> Any:
        return self.body["error"]["code"]


@dataclass
class Client:
    port: int
    key: str | None = field(repr=False)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        if self.key is not None:
            headers = {"Authorization": f"Bearer {self.key}", **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return Answer(response.status, json.loads(text), dict(response.headers))

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", f"{path}?{urlencode(query)}" if query else path)
        assert answer.status == 200, answer
        return answer.body

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.ask("POST", path, {} if body is None else body)
        assert answer.status in (200, 201), answer
        return answer.body

    def patch(self, path: str, body: Any) -> Any:
        answer = self.ask("PATCH", path, body)
        assert answer.status == 200, answer
        return answer.body

    def organisation(self, name: str = "Acme") -> str:
        return str(self.post("/v1/organisations", {"name": name})["id"])

    def account(self, organisation: str, name: str = "research", **settings: Any) -> str:
        return str(self.post("/v1/accounts", {"organisation": organisation, "name": name, **settings})["id"])


@contextmanager
def admin_server(engine: Engine, secrets: Secrets = SECRETS, models: Collection[str] | None = None) -> Iterator[int]:
    """Gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        make_admin_app(engine, secrets, models=models), log_level="critical", timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


def new_admin_key(engine: Engine, role: Role, name: str, organisation: str | None = None) -> str:
    with changing(engine, "the test") as change:
        hashes = KeyHashes(SECRETS, "sra")
        _, key = create_admin(change, hashes, THE_MACHINE, name=name, role=role, organisation=organisation)
    return key.text


@pytest.fixture
def port(engine: Engine) -> Iterator[int]:
    with admin_server(engine) as port:
        yield port


@pytest.fixture
def owner(engine: Engine, port: int) -> Client:
    return Client(port, new_admin_key(engine, "owner", "Olga"))


@pytest.fixture
def operator(engine: Engine, port: int) -> Client:
    return Client(port, new_admin_key(engine, "operator", "Otto"))


@pytest.fixture
def auditor(engine: Engine, port: int) -> Client:
    return Client(port, new_admin_key(engine, "auditor", "Ada"))


@pytest.fixture
def stranger(port: int) -> Client:
    return Client(port, None)
