"""What is done on the gateway's own machine, with its secret and its database, whether or not it runs."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select

from stillroom.base.errors import UsageError
from stillroom.serve.accounts.admins import THE_MACHINE, admin_of, create_admin
from stillroom.serve.accounts.events import Change, changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.rows import AdminRow, Name, Role
from stillroom.serve.accounts.tables import organisations
from stillroom.serve.database.address import database_url
from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade
from stillroom.serve.settings import GatewaySettings
from stillroom.store.secrets import Secrets


def make_admin(settings: GatewaySettings, name: str, role: Role, organisation: str | None) -> dict[str, Any]:
    """The same answer as the admin API's: `key`, and `row` about it. Makes the secret and the database if need be.

    `organisation` is its id or its name.
    Raises UsageError for a name that is no name, NotFound for the organisation, Conflict for a name that is taken,
    StoreError where the database cannot be opened.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        remedy = "It is one line of text of at most 100 characters, without spaces around it."
        raise UsageError(f"{name!r} cannot be an administrator's name.", remedy) from error
    secrets = Secrets.open(settings.state)
    engine = open_database(database_url(settings))
    try:
        upgrade(engine)
        with changing(engine, THE_MACHINE.name) as change:
            hashes = KeyHashes(secrets, "sra")
            within = _organisation_id(change, organisation)
            admin, key = create_admin(change, hashes, THE_MACHINE, name=name, role=role, organisation=within)
            row = AdminRow.of(admin_of(change.connection, admin))
    finally:
        engine.dispose()
    return {"key": key.text, "row": row.model_dump()}


def _organisation_id(change: Change, given: str | None) -> str | None:
    if given is None:
        return None
    return change.connection.scalar(select(organisations.c.id).where(organisations.c.name == given)) or given
