"""The tables of organisations, accounts, keys, administrators and what happened to them.

Times are UTC microseconds, money is a decimal string in USD, null is unknown or unlimited. No row holds a key: `hash`
is its keyed hash, `prefix` the part that people recognise it by.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from stillroom.serve.database.metadata import COUNTING_ID, METADATA

organisations = Table(
    "organisations",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
)

accounts = Table(
    "accounts",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("organisation", ForeignKey(organisations.c.id), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("restricted_at", BigInteger),
    Column("restricted_for", Text),
    Column("closed_at", BigInteger),
    Column("replaced_by", ForeignKey("accounts.id")),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent", BigInteger),
    Column("usd_per_day", Text),
    Column("usd_per_month", Text),
    Column("models", JSON(none_as_null=True)),
    Column("retention", Boolean, nullable=False),
    Column("terms_version", Text),
    Column("terms_accepted_at", BigInteger),
    Column("billing_print", String(32)),
    UniqueConstraint("organisation", "name"),
)

keys = Table(
    "keys",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("account", ForeignKey(accounts.c.id), nullable=False, index=True),
    Column("name", Text),
    Column("prefix", String(16), nullable=False, unique=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("replaced_by", ForeignKey("keys.id")),
)

admins = Table(
    "admins",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("organisation", ForeignKey(organisations.c.id)),
    Column("prefix", String(16), nullable=False, unique=True),
    Column("hash", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    CheckConstraint("role in ('owner', 'operator', 'auditor')", name="role_is_known"),
)

account_events = Table(
    "account_events",
    METADATA,
    # Counts up and is never given twice, also where the last rows were lost: it is the place in the change feed.
    Column("id", COUNTING_ID, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("event", String(32), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("organisation", String(32)),
    Column("account", String(32)),
    Column("key_id", String(32)),
    Column("detail", JSON, nullable=False),
    Column("prints", JSON, nullable=False),
    Index(None, "account", "id"),
    Index(None, "organisation", "id"),
    sqlite_autoincrement=True,
)
"""Only ever added to. Columns name things by id without foreign keys: what happened outlives what it happened to."""
