"""Changes of an account's keys: made, replaced, revoked. A key is shown once, to whoever made it."""

from __future__ import annotations

from sqlalchemy import RowMapping, insert, update

from stillroom.serve.accounts.accounts import open_account
from stillroom.serve.accounts.events import Change
from stillroom.serve.accounts.keys import KeyHashes, NewKey
from stillroom.serve.accounts.problems import Conflict
from stillroom.serve.accounts.reading import key_of
from stillroom.serve.accounts.rows import AdminRow
from stillroom.serve.accounts.tables import keys

US = 1_000_000


def create_key(
    change: Change, hashes: KeyHashes, account: str, admin: AdminRow, *, name: str | None, expires_at: int | None
) -> tuple[str, NewKey]:
    """Its id, and the key. Raises NotFound, or Conflict where the account is closed or the time has passed."""
    row = open_account(change, account, admin)
    _refuse_past(change, expires_at)
    key_id, key = _insert(change, hashes, account, name, expires_at)
    change.record(
        "key created",
        organisation=row["organisation"],
        account=account,
        key_id=key_id,
        detail={"name": name, "prefix": key.prefix, "expires_at": expires_at},
    )
    return key_id, key


def rotate_key(
    change: Change, hashes: KeyHashes, key_id: str, admin: AdminRow, *, grace_s: int, expires_at: int | None
) -> tuple[str, NewKey]:
    """A new key in place of one that works for `grace_s` seconds more. Returns the new one's id, and the new key.

    The new one lives as long as the old one was to, counted from now, unless `expires_at` says otherwise. Raises
    NotFound, or Conflict where the old one does not work any more or was replaced already.
    """
    old, account = _working_key(change, key_id, admin)
    if old["replaced_by"] is not None:
        raise Conflict(f"The key {key_id} was replaced by {old['replaced_by']} already.", "Rotate that one.")
    if expires_at is None and old["expires_at"] is not None:
        expires_at = change.at + (old["expires_at"] - old["created_at"])
    _refuse_past(change, expires_at)
    new_id, key = _insert(change, hashes, old["account"], old["name"], expires_at)
    ends_at = min(change.at + grace_s * US, old["expires_at"] or change.at + grace_s * US)
    change.connection.execute(update(keys).where(keys.c.id == key_id).values(expires_at=ends_at, replaced_by=new_id))
    change.record(
        "key rotated",
        organisation=account["organisation"],
        account=old["account"],
        key_id=key_id,
        detail={"replaced_by": new_id, "works_until": ends_at, "prefix": key.prefix, "expires_at": expires_at},
    )
    return new_id, key


def revoke_key(change: Change, key_id: str, admin: AdminRow) -> None:
    """It stops working: within two seconds on every worker. Revoking it again changes nothing. Raises NotFound."""
    row, account = key_of(change.connection, key_id, admin)
    if row["revoked_at"] is not None:
        return
    change.connection.execute(update(keys).where(keys.c.id == key_id).values(revoked_at=change.at))
    change.record(
        "key revoked",
        organisation=account["organisation"],
        account=row["account"],
        key_id=key_id,
        detail={"prefix": row["prefix"]},
    )


def _insert(
    change: Change, hashes: KeyHashes, account: str, name: str | None, expires_at: int | None
) -> tuple[str, NewKey]:
    key_id, key = change.new_id("key"), hashes.new()
    change.connection.execute(
        insert(keys).values(
            id=key_id,
            account=account,
            name=name,
            prefix=key.prefix,
            hash=key.hash,
            created_at=change.at,
            expires_at=expires_at,
        )
    )
    return key_id, key


def _working_key(change: Change, key_id: str, admin: AdminRow) -> tuple[RowMapping, RowMapping]:
    row, account = key_of(change.connection, key_id, admin)
    open_account(change, account["id"], admin)
    if row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= change.at):
        raise Conflict(f"The key {key_id} does not work any more.", "Make a new one for the account.")
    return row, account


def _refuse_past(change: Change, expires_at: int | None) -> None:
    if expires_at is not None and expires_at <= change.at:
        raise Conflict("The key would have expired already.", "Choose a time to come.")
