"""Permits are issued, shown and revoked. Each change is an event of its organisation's, as every other one."""

from __future__ import annotations

from sqlalchemy import Connection, RowMapping, insert, select, update

from stillroom.base.permit import MAX_PERMIT_BYTES, PERMIT_TYP, Permit
from stillroom.serve.accounts.accounts import open_account
from stillroom.serve.accounts.events import Change
from stillroom.serve.accounts.organisations import open_organisation
from stillroom.serve.accounts.problems import Conflict, NotFound
from stillroom.serve.accounts.rows import AdminRow
from stillroom.serve.accounts.tables import accounts
from stillroom.serve.keyring import Keyring
from stillroom.serve.permits.rows import MOST_ACCOUNTS, SECOND, NewPermit
from stillroom.serve.permits.tables import permits
from stillroom.serve.pseudonyms import Pseudonyms

ISSUED, REVOKED = "permit issued", "permit revoked"
_IN_EVENT = {"models", "purpose", "calls", "tokens", "student", "nbf", "exp"}


def issue_permit(
    change: Change, new: NewPermit, admin: AdminRow, *, keyring: Keyring, pseudonyms: Pseudonyms, owner: str
) -> str:
    """Its id. Raises NotFound for the organisation or an account; Conflict where one of them is closed, an account is
    another organisation's, the time has passed, or the permit would be too long for a header.
    """
    organisation = open_organisation(change, new.organisation, admin)
    named = _accounts(change, new, admin)
    permit_id = change.new_id("permit")
    begins_at = change.at if new.begins_at is None else new.begins_at
    if new.expires_at <= max(begins_at, change.at):
        raise Conflict("The permit would end before it begins, or has ended already.", "Name a later end.")
    permit = Permit(
        v=1,
        jti=permit_id,
        iss=owner,
        iat=change.at // SECOND,
        nbf=begins_at // SECOND,
        exp=-(-new.expires_at // SECOND),
        organisation=organisation["name"],
        accounts=tuple(pseudonyms.of(account, permit_id) for account in named),
        models=tuple(new.models),
        purpose=new.purpose,
        calls=new.calls,
        tokens=new.tokens,
        student=new.student,
        conditions=tuple(new.conditions),
    )
    token = keyring.active.sign(PERMIT_TYP, permit.model_dump())
    if len(token) > MAX_PERMIT_BYTES:
        raise Conflict(
            f"The permit would have {len(token)} characters; {MAX_PERMIT_BYTES} fit into a call's header.",
            "Say less, or issue one for each part of the accounts.",
        )
    change.connection.execute(
        insert(permits).values(
            id=permit_id,
            organisation=new.organisation,
            accounts=named,
            token=token,
            issued_at=change.at,
            begins_at=permit.nbf * SECOND,
            expires_at=permit.exp * SECOND,
        )
    )
    detail = {"permit": permit_id, "accounts": named, **permit.model_dump(mode="json", include=_IN_EVENT)}
    change.record(ISSUED, organisation=new.organisation, detail=detail)
    return permit_id


def revoke_permit(change: Change, permit_id: str, admin: AdminRow, reason: str | None) -> None:
    """It stops within two seconds on every worker. Revoking it again changes nothing. Raises NotFound."""
    row = permit_of(change.connection, permit_id, admin)
    if row["revoked_at"] is not None:
        return
    values = {"revoked_at": change.at, "revoked_for": reason}
    change.connection.execute(update(permits).where(permits.c.id == permit_id).values(**values))
    change.record(REVOKED, organisation=row["organisation"], detail={"permit": permit_id, "reason": reason})


def permit_of(connection: Connection, permit_id: str, admin: AdminRow) -> RowMapping:
    """Raises NotFound where there is none, or `admin` does not see it: both look the same."""
    row = connection.execute(select(permits).where(permits.c.id == permit_id)).mappings().one_or_none()
    if row is None or not admin.sees(row["organisation"]):
        raise NotFound(f"There is no permit {permit_id}.", "`stillroom permit list` shows those that there are.")
    return row


def _accounts(change: Change, new: NewPermit, admin: AdminRow) -> list[str]:
    if new.accounts is None:
        query = select(accounts.c.id).where(accounts.c.organisation == new.organisation, accounts.c.closed_at.is_(None))
        every = list(change.connection.scalars(query.order_by(accounts.c.id)))
        if not 1 <= len(every) <= MOST_ACCOUNTS:
            raise Conflict(
                f"The organisation has {len(every)} accounts; a permit names 1 to {MOST_ACCOUNTS}.", "Name them."
            )
        return every
    for account in new.accounts:
        if open_account(change, account, admin)["organisation"] != new.organisation:
            raise Conflict(f"The account {account} belongs to another organisation.", "Issue a permit for each.")
    return sorted(set(new.accounts))
