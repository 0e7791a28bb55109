"""Changes of organisations."""

from __future__ import annotations

from sqlalchemy import RowMapping, exists, insert, select, update

from stillroom.serve.accounts.events import Change
from stillroom.serve.accounts.problems import Conflict
from stillroom.serve.accounts.reading import organisation_of
from stillroom.serve.accounts.rows import AdminRow
from stillroom.serve.accounts.tables import organisations


def create_organisation(change: Change, name: str) -> str:
    """Returns its id. Raises Conflict where the name is taken."""
    _refuse_taken(change, name)
    organisation = change.new_id("org")
    change.connection.execute(insert(organisations).values(id=organisation, name=name, created_at=change.at))
    change.record("organisation created", organisation=organisation, detail={"name": name})
    return organisation


def rename_organisation(change: Change, organisation: str, name: str, admin: AdminRow) -> None:
    """Raises NotFound, or Conflict where it is closed or the name is taken."""
    row = open_organisation(change, organisation, admin)
    if row["name"] == name:
        return
    _refuse_taken(change, name)
    change.connection.execute(update(organisations).where(organisations.c.id == organisation).values(name=name))
    change.record("organisation renamed", organisation=organisation, detail={"name": [row["name"], name]})


def close_organisation(change: Change, organisation: str, admin: AdminRow) -> None:
    """All its accounts' keys stop, for good. Raises NotFound, or Conflict where it is closed already."""
    open_organisation(change, organisation, admin)
    closed = update(organisations).where(organisations.c.id == organisation).values(closed_at=change.at)
    change.connection.execute(closed)
    change.record("organisation closed", organisation=organisation)


def open_organisation(change: Change, organisation: str, admin: AdminRow) -> RowMapping:
    """Raises NotFound, or Conflict where it is closed."""
    row = organisation_of(change.connection, organisation, admin)
    if row["closed_at"] is not None:
        raise Conflict(
            f"The organisation {organisation} is closed.", "A closed organisation stays closed: make another."
        )
    return row


def _refuse_taken(change: Change, name: str) -> None:
    if change.connection.scalar(select(exists().where(organisations.c.name == name))):
        raise Conflict(f"There is an organisation called {name!r} already.", "Choose another name.")
