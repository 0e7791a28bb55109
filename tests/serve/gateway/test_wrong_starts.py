"""`stillroom serve --config` as people get it wrong: what is the matter, what to do, and no traceback."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from stillroom.cli import app

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, Start

SERVER = {"base_url": "http://127.0.0.1:9/v1"}
SETTINGS: dict[str, Any] = {
    "owner": "Acme Models",
    "state": "state",
    "listen": {"port": 0},
    "admin": {"port": 0},
    "models": [{"name": "m", "upstreams": [SERVER]}],
}


def refused(folder: Path, *words: str, code: int, **changes: Any) -> str:
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes), encoding="utf-8")
    result = CliRunner().invoke(app, ["serve", "--config", str(path), *words], env={"COLUMNS": "200"})
    assert (result.exit_code, type(result.exception)) == (code, SystemExit), result.output
    assert "Traceback" not in result.stderr
    return result.stderr.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wokers": 2}, "wokers (line 11): there is no such key; did you mean workers?"),
        ({"models": []}, "The gateway has no model."),
        ({"models": SETTINGS["models"] * 2}, "gateway.yaml: models (line 5): two are called m."),
        ({"models": [{"name": "m"}]}, "models.0 (line 6): a model has either upstreams or a folder."),
        ({"database": "NOT_SET"}, "The environment variable NOT_SET, which database names, is not set."),
        ({"database": "mysql://u:secret@h/x"}, "There is no database of the kind 'mysql' here."),
        ({"listen": {"port": 38}, "admin": {"port": 38}}, "listen and admin are both 127.0.0.1 port 38."),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, code=2, **changes)


def test_a_key_where_its_variable_is_named_is_not_repeated(tmp_path: Path) -> None:
    models = [{"name": "m", "upstreams": [{**SERVER, "api_key_env": "sk-123456"}]}]
    said = refused(tmp_path, code=2, models=models)
    assert "api_key_env (line 8): this must be the name of an environment variable, not a key." in said
    assert "123456" not in said


def test_too_many_workers_by_the_command_line(tmp_path: Path) -> None:
    assert "Error: workers: should be less than or equal to 256." in refused(tmp_path, "--workers", "1000", code=2)


def _a_file(state: Path) -> None:
    state.write_text("", encoding="utf-8")


def _a_secret_that_others_read(state: Path) -> None:
    state.mkdir()
    (state / "secret").write_bytes(b"s" * 32)
    (state / "secret").chmod(0o644)


def _a_newer_schema(state: Path) -> None:
    state.mkdir()
    database = sqlite3.connect(state / "gateway.db")
    database.execute("create table alembic_version (version_num varchar(32))")
    database.execute("insert into alembic_version values ('9999')")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_a_file, "The state folder state cannot be used: it is no folder."),
        (_a_secret_that_others_read, "Take their right away: chmod 600 state/secret."),
        (_a_newer_schema, "The database has schema revision 9999, which this stillroom does not know."),
    ],
)
def test_a_state_folder_that_cannot_be_used(make: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    make(tmp_path / "state")
    assert said in refused(tmp_path, code=1)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = f"The server can't listen on 127.0.0.1 port {port}: Address already in use."
        assert said in refused(tmp_path, code=1, listen={"port": port})


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    said = refused(tmp_path, code=1, database="postgresql://u:secret@127.0.0.1:1/x")
    assert "Look whether it is there, and whether it lets this user in." in said
    assert "secret" not in said


def test_what_a_worker_finds_wrong_is_told_in_its_words(tmp_path: Path) -> None:
    models = [{"name": "m", "upstreams": [{**SERVER, "api_key_env": "NOT_SET"}]}]
    said = refused(tmp_path, code=1, models=models)
    assert said == "Error: The environment variable NOT_SET, which api_key_env names, is not set.\nSet it.\n"


def test_a_worker_that_cannot_begin_again_says_why(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url)
    assert gateway.process is not None
    assert gateway.process.stderr is not None
    secret = gateway.state / "secret"
    right = secret.read_bytes()
    secret.write_bytes(b"short")
    (worker,) = gateway.workers()
    os.kill(worker, signal.SIGKILL)
    assert gateway.process.stderr.readline() == "The process w0 ended with code -9. It is started again.\n"
    why = f"{secret} holds 5 bytes, not 32. Put it back from a backup."
    assert gateway.process.stderr.readline() == f"The process w0 can't begin. {why} It is started again.\n"
    secret.write_bytes(right)
    key = gateway.key()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    # Who calls meanwhile waits for the next one.
    assert gateway.post("/v1/chat/completions", body, key.key)[0] == 200
