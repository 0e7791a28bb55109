"""What limits have counted, and what each worker holds of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "limit_counters",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("wanted_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "name", name="pk_limit_counters"),
    )
    op.create_index("ix_limit_counters_wanted_until", "limit_counters", ["wanted_until"])
    op.create_table(
        "limit_workers",
        sa.Column("instance", sa.String(32), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name="pk_limit_workers"),
    )
    op.create_index("ix_limit_workers_worker", "limit_workers", ["worker"])
    op.create_table(
        "limit_leases",
        sa.Column("instance", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "subject", "name", name="pk_limit_leases"),
    )
    op.create_index("ix_limit_leases_subject_name", "limit_leases", ["subject", "name"])
