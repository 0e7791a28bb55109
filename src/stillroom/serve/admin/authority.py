"""Whose request it is, and what its role allows. A route says so in the type of a parameter.

def list_accounts(admin: Reads, parts: Parts) -> ...      any role
def create_account(admin: Operates, parts: Parts) -> ...  operators and owners
def create_admin(admin: Owns, parts: Parts) -> ...        owners alone
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy import Engine
from starlette.exceptions import HTTPException

from stillroom.serve.accounts.admins import admin_with_key
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.rows import AdminRow
from stillroom.store.secrets import Secrets

_CREDENTIAL = HTTPBearer(auto_error=False, description="An administrator's key: sra-...")


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the routes work on."""

    engine: Engine
    secrets: Secrets
    key_hashes: KeyHashes
    admin_hashes: KeyHashes
    models: frozenset[str] | None
    """Those that the gateway serves; None: it is not known, and any name is taken."""

    @classmethod
    def of(cls, engine: Engine, secrets: Secrets, models: Collection[str] | None) -> AdminParts:
        served = None if models is None else frozenset(models)
        return cls(engine, secrets, KeyHashes(secrets, "sr"), KeyHashes(secrets, "sra"), served)


def _parts(request: Request) -> AdminParts:
    parts = request.app.state.parts
    assert isinstance(parts, AdminParts)
    return parts


Parts = Annotated[AdminParts, Depends(_parts)]


def _reads(request: Request, parts: Parts, _: Annotated[object, Depends(_CREDENTIAL)]) -> AdminRow:
    """The database is asked each time: a credential that was revoked stops at once.

    HTTPBearer is there for the OpenAPI description: of two headers it would read the first.
    """
    presented = request.headers.getlist("authorization")
    # Two of them: what a proxy in front checked may not be the one that would be read here.
    scheme, key = get_authorization_scheme_param(presented[0] if len(presented) == 1 else None)
    admin = None
    if scheme.lower() == "bearer":
        with parts.engine.connect() as connection:
            admin = admin_with_key(connection, parts.admin_hashes, key)
    if admin is None:
        raise HTTPException(
            401, "This needs an administrator's key: Authorization: Bearer sra-...", {"WWW-Authenticate": "Bearer"}
        )
    return admin


Reads = Annotated[AdminRow, Depends(_reads)]


def _operates(admin: Reads) -> AdminRow:
    if admin.role not in ("owner", "operator"):
        raise HTTPException(403, f"An {admin.role} may read and change nothing.")
    return admin


def _owns(admin: Reads) -> AdminRow:
    if admin.role != "owner":
        raise HTTPException(403, f"This is for an owner, and {admin.name} is an {admin.role}.")
    return admin


Operates = Annotated[AdminRow, Depends(_operates)]
Owns = Annotated[AdminRow, Depends(_owns)]
