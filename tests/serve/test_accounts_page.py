"""docs/accounts.md: its commands are run as they stand there, and its tables are held against the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import Engine
from tests.serve.admin.conftest import admin_server
from typer.testing import CliRunner

from stillroom.cli import app
from stillroom.serve.accounts.caller import RefusalCode
from stillroom.serve.accounts.rows import Role
from stillroom.serve.admin.answers import PROBLEMS
from stillroom.serve.admin.app import make_admin_app
from stillroom.serve.database.engine import open_database
from stillroom.serve.permits.admin import permit_router
from stillroom.serve.settings import read_settings
from stillroom.store.secrets import Secrets

PAGE = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text(encoding="utf-8")
SETTINGS = """
owner: Acme
state: state
models: [{name: abacus, upstreams: [{base_url: "http://127.0.0.1:9/v1"}]}]
"""


def said(words: list[str]) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (words, result.output)
    return result.stdout


def test_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_text(SETTINGS)
    blocks = re.findall(r"```\n(stillroom .*?)```", PAGE, re.DOTALL)
    commands = [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]
    commands += [shlex.split(words)[1:] for words in re.findall(r"`(stillroom \w+ close \w+)`", PAGE)]
    assert len(commands) == 20
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", json.loads(said([*commands[0], "--json"]))["key"])
    engine = open_database("sqlite:///state/gateway.db")
    ids: dict[str, str] = {}
    with admin_server(engine, Secrets.open(Path("state"))) as port:
        monkeypatch.setenv("STILLROOM_ADMIN_URL", f"http://127.0.0.1:{port}")
        for words in commands[1:]:
            out = said([ids.get(word, word) for word in words])
            if words[:2] in (["key", "create"], ["key", "rotate"]):
                ids["KEY"] = out.split()[0]
    engine.dispose()


def _first_column(heading: str, column: int = 0) -> list[str]:
    """The code in one column of the table behind a heading or a line."""
    table = PAGE.partition(heading)[2].partition("\n\n")[0]
    return [cell for line in table.splitlines() for cell in re.findall(r"`([^`]+)`", line.split("|")[column + 1])]


def test_its_codes() -> None:
    assert set(_first_column("| status | code | |\n|---|---|---|\n", 1)) == set(get_args(RefusalCode))
    statuses = PAGE.partition("| status | code |\n")[2].partition("\n\n")[0]
    told = {int(line.split("|")[1]) for line in statuses.splitlines()[1:]}
    assert told == {*PROBLEMS, 405, 500}


def test_its_roles() -> None:
    assert _first_column("| role | |\n|---|---|\n") == list(get_args(Role))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_its_routes(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    router = permit_router(read_settings(tmp_path / "gateway.yaml"))
    described = make_admin_app(engine, Secrets(b"s" * 32), [router]).openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    elsewhere = {("GET", "/openapi.json"), ("GET", "/metrics")}  # the first is not in itself, the second the gateway's
    assert _told_routes() - elsewhere == routes


def _told_routes() -> set[tuple[str, str]]:
    told: set[tuple[str, str]] = set()
    for line in PAGE.partition("## The admin API")[2].partition("| status")[0].splitlines():
        base, methods = "", []
        for code in re.findall(r"`([^`]+)`", line.split("|")[1]) if line.startswith("| `") else ():
            words = code.split()
            if words[0].isupper():
                methods.append(words[0])
            if words[-1].isupper():
                continue
            if not words[-1].startswith("..."):
                base = words[-1]
            # A route that is short for one of the same thing says POST once: `POST .../rotate`, `.../revoke`.
            path = words[-1].replace("...", base)
            told |= {(method, path) for method in methods or ["POST"]}
            methods = []
    return told
