"""Where every part of the gateway declares its tables, so that a test can hold them against the migrations."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

METADATA = MetaData(
    # SQLite names no constraint by itself, and what has no name cannot be changed by a migration.
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

COUNTING_ID = BigInteger().with_variant(Integer, "sqlite")
"""The type of a primary key that counts up: SQLite does that for INTEGER alone, which holds 64 bits there."""
