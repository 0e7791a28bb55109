"""Migrations: they make what the tables say, once, and a newer database is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

import stillroom.serve
from stillroom.base.errors import StoreError
from stillroom.serve.database.engine import open_database, writing
from stillroom.serve.database.metadata import METADATA
from stillroom.serve.database.upgrade import upgrade

SERVE = Path(stillroom.serve.__file__).parent


def test_migrations_make_what_the_tables_say(engine: Engine) -> None:
    for file in SERVE.rglob("tables.py"):
        import_module("stillroom.serve." + ".".join(file.relative_to(SERVE).with_suffix("").parts))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_several_upgrades_at_once_are_one(empty_database_url: str) -> None:
    engines = [open_database(empty_database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, engines))
    assert "accounts" in inspect(engines[0]).get_table_names()
    for engine in engines:
        engine.dispose()


def test_a_newer_database_is_refused(empty_database_url: str) -> None:
    engine = open_database(empty_database_url)
    upgrade(engine)
    with writing(engine) as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match="schema revision 9999"):
        upgrade(engine)
    engine.dispose()


def test_an_upgrade_that_fails_leaves_nothing(empty_database_url: str) -> None:
    engine = open_database(empty_database_url)
    with writing(engine) as connection:
        connection.execute(text("create table account_events (id integer)"))  # the last table of the first migration
    with pytest.raises(Exception, match="already exists"):
        upgrade(engine)
    assert inspect(engine).get_table_names() == ["account_events"]
    engine.dispose()
