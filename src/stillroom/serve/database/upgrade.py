"""Bring a database's schema up to this version's."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from stillroom.base.errors import StoreError
from stillroom.serve.database.engine import writing

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_310_579
"""Of PostgreSQL's advisory locks the one that means: a stillroom is upgrading this database."""


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database lacks, all or none. Several processes may do it at once: one does the work.

    Raises StoreError for a database that a newer version has upgraded.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            # A migration of a large table takes as long as it takes, and so does another stillroom's.
            connection.execute(text("set local statement_timeout = 0"))
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config(connection)
        _refuse_newer(connection, config)
        command.upgrade(config, "head")


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer(connection: Connection, config: Config) -> None:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        return
    try:
        ScriptDirectory.from_config(config).get_revision(revision)
    except CommandError as error:
        raise StoreError(
            f"The database has schema revision {revision}, which this stillroom does not know.",
            "Install the stillroom that upgraded it, or a newer one.",
        ) from error
