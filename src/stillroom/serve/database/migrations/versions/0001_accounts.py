"""Organisations, accounts, keys, administrators, and the feed of what changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_organisations"),
        sa.UniqueConstraint("name", name="uq_organisations_name"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("organisation", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("restricted_at", sa.BigInteger()),
        sa.Column("restricted_for", sa.Text()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("replaced_by", sa.String(32)),
        sa.Column("requests_per_minute", sa.BigInteger()),
        sa.Column("tokens_per_minute", sa.BigInteger()),
        sa.Column("concurrent", sa.BigInteger()),
        sa.Column("usd_per_day", sa.Text()),
        sa.Column("usd_per_month", sa.Text()),
        sa.Column("models", sa.JSON()),
        sa.Column("retention", sa.Boolean(), nullable=False),
        sa.Column("terms_version", sa.Text()),
        sa.Column("terms_accepted_at", sa.BigInteger()),
        sa.Column("billing_print", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], name="fk_accounts_organisation"),
        sa.ForeignKeyConstraint(["replaced_by"], ["accounts.id"], name="fk_accounts_replaced_by"),
        sa.UniqueConstraint("organisation", "name", name="uq_accounts_organisation_name"),
    )
    op.create_index("ix_accounts_organisation", "accounts", ["organisation"])
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("replaced_by", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name="fk_keys_account"),
        sa.ForeignKeyConstraint(["replaced_by"], ["keys.id"], name="fk_keys_replaced_by"),
        sa.UniqueConstraint("prefix", name="uq_keys_prefix"),
    )
    op.create_index("ix_keys_account", "keys", ["account"])
    op.create_table(
        "admins",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("organisation", sa.String(32)),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_admins"),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], name="fk_admins_organisation"),
        sa.UniqueConstraint("name", name="uq_admins_name"),
        sa.UniqueConstraint("prefix", name="uq_admins_prefix"),
        sa.CheckConstraint("role in ('owner', 'operator', 'auditor')", name=op.f("ck_admins_role_is_known")),
    )
    op.create_table(
        "account_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("organisation", sa.String(32)),
        sa.Column("account", sa.String(32)),
        sa.Column("key_id", sa.String(32)),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("prints", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_account_events_account_id", "account_events", ["account", "id"])
    op.create_index("ix_account_events_organisation_id", "account_events", ["organisation", "id"])
