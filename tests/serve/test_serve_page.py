"""docs/serve.md: its Python and its commands are run as they stand there, its tables are held against the code."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import yaml
from pydantic import BaseModel
from tests.serve.gateway.conftest import model_server, wait_until
from typer.testing import CliRunner

from stillroom.base.receipt import read_receipt, text_digest
from stillroom.base.records import CallStatus
from stillroom.base.signatures import PublicKeys
from stillroom.cli import app
from stillroom.serve.accounts.caller import RefusalCode
from stillroom.serve.database.following import FRESH_S
from stillroom.serve.gateway import protocol, upstream
from stillroom.serve.gateway.metrics import AllWorkers
from stillroom.serve.limits import limits
from stillroom.serve.limits.bound import LimitName
from stillroom.serve.limits.ledger import DEAD_US
from stillroom.serve.routes.openapi import openapi
from stillroom.serve.settings import GatewaySettings, ModelSettings, UpstreamSettings, WatermarkSettings, read_settings
from stillroom.serve.spawn import serving
from stillroom.store.calls import call_dataset

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
LOCAL, _, GATEWAY = PAGE.partition("\n## The gateway\n")
BLOCKS = re.findall(r"```python\n(.*?)```", LOCAL, re.DOTALL)
ADDRESS, FOLDER = "http://127.0.0.1:8000/v1", 'Path("runs/demo/train/sft/student")'
SOURCES = sorted((ROOT / "src" / "stillroom" / "serve").rglob("*.py"))
QUESTION = "What is 2 + 3?"


def section(heading: str) -> str:
    return GATEWAY.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]


# A local model


@pytest.fixture(scope="module")
def base_url(taught_model: Path) -> Iterator[str]:
    with serving({"student": taught_model}, threads=1) as url:
        yield url


def _printed(block: str, base_url: str, capsys: pytest.CaptureFixture[str]) -> str:
    asked = block.replace(QUESTION, "sum").replace('model="student"', 'model="student", temperature=0')
    exec(compile(asked.replace(ADDRESS, base_url), "docs/serve.md", "exec"), {})
    return capsys.readouterr().out


def test_the_official_client(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ADDRESS in BLOCKS[0]
    assert _printed(BLOCKS[0], base_url, capsys) == "2 + 3 = 5\nIt is 5.\n"


def test_the_official_client_streaming(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    # The client that the first block makes is the one that the second asks.
    both = BLOCKS[0].partition("reply =")[0] + BLOCKS[1]
    assert "stream=True" in both
    assert _printed(both, base_url, capsys) == "2 + 3 = 5It is 5.\n"


@pytest.mark.parametrize("number", range(2, len(BLOCKS)))
def test_from_python(number: int, taught_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert FOLDER in BLOCKS[number]
    exec(compile(BLOCKS[number].replace(FOLDER, f"Path({str(taught_model)!r})"), "docs/serve.md", "exec"), {})
    capsys.readouterr()


# The gateway, from nothing to a metered call


def said(words: list[str]) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (words, result.output)
    return result.stdout


@contextlib.contextmanager
def gateway(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, and the addresses that it says it serves at."""
    with subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()
            yield process, *re.findall(r"http://[^;\s]+", line)
        finally:
            process.terminate()


def curl(command: str, address: str, key: str) -> tuple[bytes, dict[str, str]]:
    """What curl sends, sent: not every machine that runs the tests has curl."""
    words = shlex.split(command.replace("\\\n", "").replace("$KEY", key))
    assert words[:2] == ["curl", "-i"]
    assert [words[position] for position in range(3, len(words), 2)] == ["-H", "-H", "-d"]
    headers = dict(header.split(": ", 1) for header in words[4:8:2])
    request = Request(words[2].replace(ADDRESS, address), words[8].encode(), headers)
    with urlopen(request, timeout=60) as response:
        return response.read(), {name.lower(): value for name, value in response.headers.items()}


def test_from_nothing_to_a_metered_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = section("From nothing to a metered call")
    blocks = re.findall(r"```(\w*)\n(.*?)```", path, re.DOTALL)
    assert [language for language, _ in blocks] == ["yaml", "", "", "", "python"]
    settings, first, second, call, client = (block for _, block in blocks)
    create, serve = (shlex.split(line) for line in first.splitlines())
    monkeypatch.chdir(tmp_path)
    with model_server() as model:
        model_url = "http://127.0.0.1:8080/v1"
        assert model_url in settings
        ports = "listen: {port: 0}\nadmin: {port: 0}\n"
        Path("gateway.yaml").write_text(settings.replace(model_url, f"{model.url}/v1") + ports)
        admin_key = said(create[1:]).split()[-1]
        with gateway(serve) as (process, address, admin_address):
            setting, *commands = second.splitlines()
            assert setting == "export STILLROOM_ADMIN_KEY=sra-..."
            assert admin_key.startswith("sra-")
            monkeypatch.setenv("STILLROOM_ADMIN_KEY", admin_key)
            monkeypatch.setenv("STILLROOM_ADMIN_URL", admin_address)
            told = [said(shlex.split(command)[1:]) for command in commands]
            monkeypatch.setenv("KEY", told[-1].split()[-1])
            body, headers = curl(call, address, told[-1].split()[-1])
            exec(compile(client.replace(ADDRESS, address), "docs/serve.md", "exec"), {})
            assert capsys.readouterr().out == f"{QUESTION}\n"  # the model of the tests says it back
            with urlopen(f"{address.removesuffix('/v1')}/.well-known/jwks.json", timeout=60) as response:
                keys = PublicKeys.from_jwks(response.read(), "test")
            _stop_while_it_answers(process, address, told[-1].split()[-1])
            assert process.communicate(timeout=60) == ("", "")
            assert process.returncode == 0
    receipt, salt = read_receipt(headers["x-stillroom-receipt"], keys, 2**33)
    assert receipt.replies[0].answer == text_digest(salt, "answer", QUESTION)
    assert json.loads(body)["choices"][0]["message"]["content"] == QUESTION
    rows = call_dataset(Path("state/calls")).to_table().to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok", "ok"]
    assert rows[0]["call_id"] == headers["x-stillroom-call"]
    assert rows[0]["cost_usd"] == "0.0000095"  # 11 and 2 tokens
    _backups_are_complete()


def _stop_while_it_answers(process: subprocess.Popen[str], address: str, key: str) -> None:
    """Calls in flight end, and who comes after is not left waiting."""
    plan = json.dumps({"say": ["one "] * 12, "pause_s": 0.5})
    asked = {"model": "abacus", "stream": True, "messages": [{"role": "user", "content": plan}]}
    request = Request(f"{address}/chat/completions", json.dumps(asked).encode(), {"authorization": f"Bearer {key}"})
    with urlopen(request, timeout=60) as response:
        process.send_signal(signal.SIGTERM)
        parts = urlsplit(address)
        wait_until(lambda: _is_refused(parts.hostname or "", parts.port or 0))
        assert process.poll() is None
        assert response.read().endswith(b"data: [DONE]\n\n")


def _is_refused(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return False
    except ConnectionRefusedError:
        return True


def _backups_are_complete() -> None:
    table = section("Backups").partition("\n\n")[0]
    told = {
        name.rstrip("/") for line in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }
    found = {path.name for path in Path("state").iterdir()}
    assert {name for name in found if not re.search(r"-(wal|shm)$|^\.", name)} == told - {"escrow", "watermark"}
    database, statement = re.findall(r'`sqlite3 (\S+) "(.*?)"`', table)[0]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(statement)
    with contextlib.closing(sqlite3.connect("copy.db")) as copy:
        assert copy.execute("select count(*) from keys").fetchone() == (1,)


def test_the_readmes_path_is_the_same() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    path = readme.partition("\n## A model of your own, for others\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```\w*\n.*?```", path, re.DOTALL)
    assert len(blocks) == 3
    assert blocks == re.findall(r"```\w*\n.*?```", section("From nothing to a metered call"), re.DOTALL)[:3]


def test_without_a_model_at_hand(tmp_path: Path) -> None:
    path = section("From nothing to a metered call")
    assert "add `--model abacus=classroom`" in " ".join(path.split())
    (settings,) = re.findall(r"```yaml\n(.*?)```", path, re.DOTALL)
    (tmp_path / "gateway.yaml").write_text(settings.partition("models:")[0])
    assert read_settings(tmp_path / "gateway.yaml").models == ()


# The tables


def keys_of(model: type[BaseModel], values: BaseModel | None = None, prefix: str = "") -> dict[str, str]:
    """Every key with its default as it is written in YAML, "" where a value has to be given."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        default = getattr(values, name) if values is not None else field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            found |= keys_of(type(default), default, f"{prefix}{name}.")
        elif values is None and field.is_required():
            found[f"{prefix}{name}"] = ""
        else:
            plain = list(default) if isinstance(default, tuple) else default
            found[f"{prefix}{name}"] = yaml.safe_dump(plain, default_flow_style=True, width=1000).split("\n")[0]
    return found


def documented_keys(heading: str) -> dict[str, str]:
    table = section("Every key of the file").partition(f"| {heading} | default | |\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([a-z_.]+)` \| (?:`([^`]+)`|-) \|", table, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("key", GatewaySettings),
        ("key of a model", ModelSettings),
        ("key of a server", UpstreamSettings),
        ("key of a watermark", WatermarkSettings),
    ],
)
def test_every_key_with_its_default(heading: str, model: type[BaseModel]) -> None:
    assert documented_keys(heading) == keys_of(model)


def _named_in_sources(pattern: str) -> set[Any]:
    return {found for path in SOURCES for found in re.findall(pattern, path.read_text())}


def test_every_error() -> None:
    table = section("Errors").partition("\n\n|")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if re.match(r"\|? *\d", line)]
    told = {(int(row[1]), code) for row in rows for code in re.findall(r"`(\w+)`", row[2])}
    # Where the code is a constant: it and the status stand beside each other.
    assert {(int(status), code) for code, status in _named_in_sources(r'Refused\(\s*"(\w+)", (\d+)')} <= told
    reached = {name for name in get_args(LimitName) if not re.match(r"nano|permit", name)}
    permits = _named_in_sources(r'PermitRefused\(\s*"(\w+)"')
    read = _named_in_sources(r'ApiError\([^)]*code="(\w+)"')
    local = {"context_length_exceeded", "model_not_found"}  # of a local model's own server
    refused = _named_in_sources(r'Refused\(\s*"(\w+)"')
    unread = _named_in_sources(r'= _response\(\s*"(\d+) .*?", "(\w+)"')  # before there is a request
    assert {(int(status), code) for status, code in unread} <= told
    others = {"budget_reached", "permit_spent"} | {code for _, code in unread}
    told_codes = [code for _, code in told]
    assert len(told_codes) == len(set(told_codes))
    assert set(told_codes) == refused | permits | (read - local | {"model_not_found"}) | reached | others | set(
        get_args(RefusalCode)
    )


def test_every_header_that_is_passed_on() -> None:
    source = (ROOT / "src/stillroom/serve/gateway/passing_on.py").read_text()
    passed = re.findall(r"^_PASSED_TO_\w+: Final = \((.*?)\)", source, re.MULTILINE | re.DOTALL)
    assert len(passed) == 2
    (told,) = re.findall(
        r"headers the server sees(.*?), of its response's the client sees(.*?)\.", section("Routes"), re.DOTALL
    )
    assert [re.findall(r"`([\w-]+)`", names) for names in told] == [
        re.findall(r'"([\w-]+)"', names) for names in passed
    ]


def test_every_outcome() -> None:
    table = section("What is metered").partition("| what came of it |")[2].partition("\n\n")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"status"} == set(get_args(CallStatus))


def test_every_route() -> None:
    table = section("Routes").partition("\n\n\n")[0].partition("| | |\n")[2].partition("\n\n")[0]
    described = openapi("Abacus Models")["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert set(re.findall(r"`((?:GET|POST) \S+)`", table)) == routes


def test_every_metric(tmp_path: Path) -> None:
    collected = {(metric.name + "_total" * (metric.type == "counter")) for metric in AllWorkers(tmp_path).collect()}
    assert set(re.findall(r"^\| `(stillroom_\w+)`", section("Metrics"), re.MULTILINE)) == collected


def test_what_keeps_it_from_being_ready() -> None:
    (source,) = re.findall(
        r"reasons = \{(.*?)\n        \}", (ROOT / "src/stillroom/serve/gateway/app.py").read_text(), re.DOTALL
    )
    told = section("Health, stopping, full disks").partition("\n\n")[0]
    assert set(re.findall(r'"(\w+)":', source)) == set(re.findall(r"`(\w+)`", told.partition("`reasons`:")[2]))


def test_its_numbers_are_the_codes() -> None:
    words = " ".join(GATEWAY.split())
    assert f"more than {protocol._HEAD_BYTES >> 10} KiB of headers" in words
    assert (DEAD_US, limits._OUT_OF_TOUCH_S, FRESH_S) == (10_000_000, 5, 1.5)
    for told in (
        "gone for ten seconds",
        "not reached the database for five seconds",
        "older than one and a half seconds",
    ):
        assert told in words
    assert (upstream._FIRST_PAUSE_S, upstream._LONGEST_PAUSE_S) == (1, 30)
    assert "left alone for one second, then twice as long each time up to thirty" in words


def test_its_links() -> None:
    for file, _, place in re.findall(r"\]\(([\w./]*)(#([\w-]+))?\)", PAGE):
        page = (ROOT / "docs" / file).read_text() if file else PAGE
        headings = {
            re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
            for line in re.findall(r"^#+ (.*)$", page, re.MULTILINE)
        }
        assert not place or place in headings, (file, place)
