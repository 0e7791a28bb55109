"""A real gateway on loopback: supervisor, workers, admin process, in front of a real server that plays the model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml
from sqlalchemy import Engine
from tests.serve.gateway.wire import RawServer, raw_server

from stillroom.serve.accounts.account_keys import create_key, revoke_key
from stillroom.serve.accounts.accounts import create_account
from stillroom.serve.accounts.admins import THE_MACHINE
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.organisations import create_organisation
from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade
from stillroom.serve.meter.segment_file import Settled, open_segments, read_segment
from stillroom.store.calls import call_dataset
from stillroom.store.secrets import Secrets

_number = count()
PRICE = {"input_per_million": 1, "output_per_million": 10, "cached_per_million": 0.5}
ROUTES = ["chat", "completions", "responses", "embeddings", "messages"]


@dataclass
class ModelServer:
    url: str
    """Without /v1."""
    process: subprocess.Popen[str]

    def get(self, path: str) -> dict[str, Any]:
        with urlopen(self.url + path, timeout=30) as response:
            told: dict[str, Any] = json.loads(response.read())
        return told


@contextmanager
def model_server(port: int = 0) -> Iterator[ModelServer]:
    command = [sys.executable, str(Path(__file__).parent / "model_server.py"), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield ModelServer(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        process.stdin.close()


@dataclass
class Key:
    key: str
    key_id: str
    account: str


@dataclass
class RunningGateway:
    folder: Path
    engine: Engine
    secrets: Secrets
    process: subprocess.Popen[str] | None = None
    url: str = ""
    """Without /v1."""
    admin_url: str = ""
    organisations: dict[str, str] = field(default_factory=dict)
    told_of_servers: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def key(self, account: str | None = None, organisation: str = "Acme", **settings: Any) -> Key:
        """A key of a new account."""
        account = account or f"account {next(_number)}"
        with changing(self.engine, "test") as change:
            if organisation not in self.organisations:
                self.organisations[organisation] = create_organisation(change, organisation)
            terms = settings.pop("terms_version", None)
            account_id = create_account(
                change,
                self.organisations[organisation],
                THE_MACHINE,
                {"name": account, **settings},
                terms_version=terms,
            )
            key_id, new = create_key(
                change, KeyHashes(self.secrets, "sr"), account_id, THE_MACHINE, name=None, expires_at=None
            )
        return Key(new.text, key_id, account_id)

    def revoke(self, key: Key) -> None:
        with changing(self.engine, "test") as change:
            revoke_key(change, key.key_id, THE_MACHINE)

    def post(
        self, path: str, body: object, key: str | None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers (lower case) of one call, whatever the status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(headers or {})}
        if key is not None:
            sent["authorization"] = f"Bearer {key}"
        return _exchange(Request(self.url + path, data, sent))

    def get(self, path: str, key: str | None = None) -> tuple[int, bytes, dict[str, str]]:
        return _exchange(Request(self.url + path, headers={"authorization": f"Bearer {key}"} if key else {}))

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        assert self.process is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "gateway.worker"], capture_output=True, text=True, check=False
        )
        return [int(line) for line in found.stdout.split()]

    def stop(self) -> str:
        """End it as an operator does; everything is sealed then. Returns what it wrote to standard error.

        But for what it says of models' servers, which is in `told_of_servers`.
        """
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=120)
        lines = errors.splitlines(keepends=True)
        self.told_of_servers = [line.strip() for line in lines if line.startswith("The server http")]
        return "".join(line for line in lines if not line.startswith("The server http"))

    def calls(self) -> list[dict[str, Any]]:
        """All sealed rows, by time. After `stop`, or with what `seal` had sealed."""
        rows = call_dataset(self.state / "calls").to_table().to_pylist()
        return sorted(rows, key=lambda row: row["at"])

    def calls_of(self, key: Key, number: int) -> list[dict[str, Any]]:
        """The rows of one account, once there are so many: sealed ones, and those of segments that still grow."""
        rows: dict[str, dict[str, Any]] = {}

        def all_there() -> bool:
            rows.update(
                (row["call_id"], row) for row in [*self._unsealed(), *self.calls()] if row["account"] == key.account
            )
            return len(rows) >= number

        wait_until(all_there, pause_s=0.1)
        return sorted(rows.values(), key=lambda row: row["at"])

    def _unsealed(self) -> Iterator[dict[str, Any]]:
        for folder in (self.state / "calls").glob("w*"):
            for path in open_segments(folder):
                yield from (line.row for line in read_segment(path) if isinstance(line, Settled))


def _exchange(request: Request) -> tuple[int, bytes, dict[str, str]]:
    from urllib.error import HTTPError

    try:
        with urlopen(request, timeout=60) as response:
            return response.status, response.read(), {name.lower(): value for name, value in response.headers.items()}
    except HTTPError as error:
        with error:
            return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


Start = Callable[..., RunningGateway]


@contextmanager
def running_gateway(folder: Path, *upstreams: str, **more: Any) -> Iterator[RunningGateway]:
    """A gateway with one model `m` behind these servers; `more` are keys of its YAML file."""
    settings: dict[str, Any] = {
        "owner": "Acme Models",
        "state": "state",
        "listen": {"port": 0},
        "admin": {"port": 0},
        "models": [
            {
                "name": "m",
                "upstreams": [{"base_url": f"{url}/v1"} for url in upstreams],
                "routes": ROUTES,
                "price": PRICE,
            }
        ],
        **more,
    }
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(settings))
    secrets = Secrets.open(folder / "state")
    engine = open_database(settings.get("database") or f"sqlite:///{folder / 'state' / 'gateway.db'}")
    try:
        upgrade(engine)
        gateway = RunningGateway(folder, engine, secrets)
        command = [sys.executable, "-m", "stillroom", "serve", "--config", str(path)]
        gateway.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert gateway.process.stdout is not None
            line = gateway.process.stdout.readline()
            if not line:
                raise AssertionError(gateway.process.communicate()[1])
            urls = [word for word in line.replace(";", "").split() if word.startswith("http://")]
            gateway.url, gateway.admin_url = urls[0].removesuffix("/v1"), urls[1]
            yield gateway
        finally:
            _end(gateway.process)
    finally:
        engine.dispose()


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Start]:
    """`start_gateway(*upstream_urls, **yaml)`: a gateway of this test's own."""
    with ExitStack() as stack:
        yield lambda *upstreams, **more: stack.enter_context(running_gateway(tmp_path, *upstreams, **more))


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@pytest.fixture(scope="session")
def model() -> Iterator[ModelServer]:
    """The model's server, shared by the tests."""
    with model_server() as server:
        yield server


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[RunningGateway]:
    """One worker, all defaults, shared: a test makes accounts of its own, and does not stop it."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), model.url) as gateway:
        yield gateway
        assert gateway.stop() == ""


UPSTREAM_KEY = "upstream-key-9f8e7d6c5b4a"


@pytest.fixture
def upstream_key() -> str:
    """What `cramped` asks its upstreams with."""
    return UPSTREAM_KEY


@pytest.fixture(scope="session")
def raw_upstream() -> Iterator[RawServer]:
    """The server of the model `raw` behind `cramped`."""
    with raw_server() as server:
        yield server


@pytest.fixture(scope="session")
def cramped(
    tmp_path_factory: pytest.TempPathFactory, model: ModelServer, raw_upstream: RawServer
) -> Iterator[RunningGateway]:
    """A shared gateway that is told to wait for nobody, behind a trusted proxy, with keys for its upstreams."""
    known = {"price": PRICE, "routes": ROUTES}
    models = [
        {"name": name, "upstreams": [{"base_url": f"{url}/v1", "api_key_env": "TEST_UPSTREAM_KEY"}], **known}
        for name, url in (("m", model.url), ("raw", raw_upstream.url))
    ]
    bounds = {"body_bytes": 65536, "body_s": 2, "stalled_s": 2, "call_s": 4, "connections": 24}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_UPSTREAM_KEY", UPSTREAM_KEY)
        folder = tmp_path_factory.mktemp("cramped")
        with running_gateway(folder, models=models, bounds=bounds, trusted_proxies=["127.0.0.1/32"]) as gateway:
            yield gateway
            assert gateway.stop() == ""


def wait_until(condition: Callable[[], bool], seconds: float = 60, pause_s: float = 0.02) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(pause_s)
