"""Names for calls and receipts that nobody can guess, and that sort by time."""

from __future__ import annotations

import os


def new_id(at_us: int) -> str:
    """32 hex digits: twelve of the time in milliseconds since 1970, then 80 random bits."""
    return f"{at_us // 1000:012x}{os.urandom(10).hex()}"
