"""The tables of what has been counted, and of which worker holds how much of it.

Times are UTC microseconds; amounts are whole requests, tokens, calls or billionths of a dollar.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from stillroom.serve.database.metadata import METADATA

limit_counters = Table(
    "limit_counters",
    METADATA,
    Column("subject", Text, primary_key=True),
    Column("name", String(32), primary_key=True),
    # One row for each counter: a new window takes the place of the one that is over.
    Column("starts_at", BigInteger, nullable=False),
    # All that was used, and all that workers hold: never below what was used.
    Column("counted", BigInteger, nullable=False),
    # Until then a worker is known to lack what others may hold: nobody holds more than calls need.
    Column("wanted_until", BigInteger, nullable=False),
    Index(None, "wanted_until"),
)

limit_workers = Table(
    "limit_workers",
    METADATA,
    # A worker's name is its slot's; each process that takes the slot is an instance of its own.
    Column("instance", String(32), primary_key=True),
    Column("worker", Text, nullable=False),
    # Its last sign of life.
    Column("seen_at", BigInteger, nullable=False),
    Index(None, "worker"),
)

limit_leases = Table(
    "limit_leases",
    METADATA,
    Column("instance", String(32), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    # The part of `counted` that this instance was given in this window, and how much of it had been used at `told_at`.
    Column("held", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("told_at", BigInteger, nullable=False),
    Index(None, "subject", "name"),
)
