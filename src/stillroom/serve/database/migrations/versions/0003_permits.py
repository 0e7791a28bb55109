"""Permits that were issued, and whether they were revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "permits",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("organisation", sa.String(32), nullable=False),
        sa.Column("accounts", sa.JSON(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("revoked_for", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_permits"),
        sa.ForeignKeyConstraint(["organisation"], ["organisations.id"], name="fk_permits_organisation"),
    )
    op.create_index("ix_permits_organisation", "permits", ["organisation"])
