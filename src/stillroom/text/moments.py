"""Times in words, always of UTC, from microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime


def to_the_second(at_us: int) -> str:
    """`2027-05-01 18:00:59 UTC`."""
    return f"{_utc(at_us):%Y-%m-%d %H:%M:%S} UTC"


def to_the_minute(at_us: int) -> str:
    """`2027-05-01 18:00 UTC`."""
    return f"{_utc(at_us):%Y-%m-%d %H:%M} UTC"


def _utc(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)
