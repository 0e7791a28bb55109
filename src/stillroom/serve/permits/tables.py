"""The table of permits. Times are UTC microseconds. What a permit says is in `token`, as it was signed."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, String, Table, Text

from stillroom.serve.accounts.tables import organisations
from stillroom.serve.database.metadata import METADATA

permits = Table(
    "permits",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("organisation", ForeignKey(organisations.c.id), nullable=False, index=True),
    # Ids: the permit itself names accounts by pseudonyms, which have no way back.
    Column("accounts", JSON, nullable=False),
    Column("token", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("begins_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("revoked_for", Text),
)
