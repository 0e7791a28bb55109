"""Names for calls and receipts that nobody can guess, and that say their time: they sort by it, and are found by it."""

from __future__ import annotations

import os
import re

_FORM = re.compile(r"[0-9a-f]{32}")
_TIME_DIGITS = 12


def new_id(at_us: int) -> str:
    """32 hex digits: twelve of the time in milliseconds since 1970, then 80 random bits."""
    return f"{at_us // 1000:012x}{os.urandom(10).hex()}"


def time_of(made_id: str) -> int | None:
    """UTC in microseconds, to the millisecond; None for what `new_id` never made."""
    return int(made_id[:_TIME_DIGITS], 16) * 1000 if _FORM.fullmatch(made_id) else None
