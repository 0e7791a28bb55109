"""Opening a database, and transactions that write."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Engine, select, text

from stillroom.base.errors import StoreError, UsageError
from stillroom.serve.accounts.tables import organisations
from stillroom.serve.database.engine import open_database, writing


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite+aiosqlite:///x.db",
        "sqlite:///x.db?mode=ro",
        "mysql://u:hunter2@h/d",
        "postgresql+asyncpg://u:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
    ],
)
def test_a_url_of_another_kind(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_database(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://somebody:hunter2@127.0.0.1:1/gateway"])
def test_a_database_that_is_not_there(url: str) -> None:
    with pytest.raises(StoreError, match="cannot be opened") as raised:
        open_database(url)
    assert "hunter2" not in str(raised.value)


def test_a_name_that_looks_like_a_uri_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_database("sqlite:///file:x.db").dispose()
    assert (tmp_path / "file:x.db").exists()


def _add_and_fail(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(organisations.insert().values(id="org_1", name="one", created_at=1))
        connection.execute(organisations.insert().values(id="org_2", name="two", created_at=1 // 0))


def test_a_block_that_raises_writes_nothing(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        _add_and_fail(engine)
    with engine.connect() as connection:
        assert connection.execute(select(organisations)).all() == []


def test_writers_wait_for_each_other(database_url: str) -> None:
    """Each reads before it writes: without the right to write from the beginning, SQLite would refuse all but one."""
    engines = [open_database(database_url) for _ in range(4)]

    def add_some(engine: Engine, number: int) -> None:
        for row in range(5):
            with writing(engine) as connection:
                connection.execute(select(organisations)).all()
                connection.execute(
                    organisations.insert().values(id=f"org_{number}_{row}", name=f"{number} {row}", created_at=1)
                )

    threads = [Thread(target=add_some, args=(engine, number)) for number, engine in enumerate(engines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engines[0].connect() as connection:
        assert len(connection.execute(select(organisations)).all()) == 20
    for engine in engines:
        engine.dispose()


def test_what_was_committed_is_synced(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("pragma journal_mode")).scalar() == "wal"
        assert connection.execute(text("pragma synchronous")).scalar() == 2
        assert connection.execute(text("pragma foreign_keys")).scalar() == 1
    engine.dispose()


def test_a_statement_that_hangs_is_given_up(postgres: str) -> None:
    """What the URL says of the connection stays as it is."""
    separator = "&" if "?" in postgres else "?"
    engine = open_database(
        postgres.format("postgres") + f"{separator}options=-csearch_path%3Dgateway&connect_timeout=7"
    )
    with engine.connect() as connection:
        assert connection.execute(text("show statement_timeout")).scalar() == "15s"
        assert connection.execute(text("show search_path")).scalar() == "gateway"
    with engine.connect() as connection:  # the same connection, after its transaction was rolled back
        assert connection.execute(text("show statement_timeout")).scalar() == "15s"
    engine.dispose()
