"""The people (and programs) who look after accounts, each with a credential and a role.

`owner` may do everything; `operator` changes organisations, accounts, keys and permits; `auditor` reads. One that
belongs to an organisation sees that one alone.
"""

from __future__ import annotations

import hmac

from sqlalchemy import Connection, RowMapping, exists, func, insert, select, update

from stillroom.serve.accounts.events import Change
from stillroom.serve.accounts.keys import KeyHashes, NewKey
from stillroom.serve.accounts.problems import Conflict, NotFound
from stillroom.serve.accounts.reading import organisation_of
from stillroom.serve.accounts.rows import AdminRow, Role
from stillroom.serve.accounts.tables import admins

THE_MACHINE = AdminRow(
    id="", name="the gateway's machine", role="owner", organisation=None, prefix="", created_at=0, revoked_at=None
)
"""Who acts where a command works on the gateway's own files, as only its owner can."""


def create_admin(
    change: Change, hashes: KeyHashes, creator: AdminRow, *, name: str, role: Role, organisation: str | None
) -> tuple[str, NewKey]:
    """Its id, and its key. Raises NotFound for the organisation, Conflict where the name is or was taken, or an owner
    would be bound to one organisation."""
    if organisation is not None:
        organisation_of(change.connection, organisation, creator)
        if role == "owner":
            raise Conflict(
                "An owner belongs to no organisation.", "Make it an operator, or leave the organisation out."
            )
    if change.connection.scalar(select(exists().where(admins.c.name == name))):
        # Names of the past stay taken, since events tell who did something by name.
        raise Conflict(f"There is or was an administrator called {name!r}.", "Choose another name.")
    admin, key = change.new_id("admin"), hashes.new()
    change.connection.execute(
        insert(admins).values(
            id=admin,
            name=name,
            role=role,
            organisation=organisation,
            prefix=key.prefix,
            hash=key.hash,
            created_at=change.at,
        )
    )
    detail = {"admin": admin, "name": name, "role": role, "prefix": key.prefix}
    change.record("admin created", organisation=organisation, detail=detail)
    return admin, key


def revoke_admin(change: Change, admin: str) -> None:
    """Its credential stops working at once. Raises NotFound, or Conflict for the last owner."""
    row = admin_of(change.connection, admin)
    if row["revoked_at"] is not None:
        return
    if row["role"] == "owner":
        owners = select(func.count()).where(admins.c.role == "owner", admins.c.revoked_at.is_(None))
        if change.connection.scalar(owners) == 1:
            raise Conflict("This is the last owner.", "Make another owner first.")
    change.connection.execute(update(admins).where(admins.c.id == admin).values(revoked_at=change.at))
    detail = {"admin": admin, "name": row["name"]}
    change.record("admin revoked", organisation=row["organisation"], detail=detail)


def admin_of(connection: Connection, admin: str) -> RowMapping:
    """Raises NotFound."""
    row = connection.execute(select(admins).where(admins.c.id == admin)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no administrator {admin}.", "`stillroom admin list` shows those that there are.")
    return row


def admin_with_key(connection: Connection, hashes: KeyHashes, presented: str) -> AdminRow | None:
    """Whose key this is; None where it is nobody's, or was revoked.

    The row is found by the key's public prefix, and the keyed hashes are compared in a time that does not depend on
    where they differ (see `KeyHashes.of`, which says why even a difference would tell nothing).
    """
    presented_hash = hashes.of(presented)
    if presented_hash is None:
        return None
    prefix = "-".join(presented.split("-")[:2])
    row = connection.execute(select(admins).where(admins.c.prefix == prefix)).mappings().one_or_none()
    if row is None or not hmac.compare_digest(row["hash"], presented_hash) or row["revoked_at"] is not None:
        return None
    return AdminRow.of(row)
