"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that looks most like `name`; None where none looks like it."""
    known = list(names)
    by_lower = {each.lower(): each for each in reversed(known)}
    near = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower.get(near[0], near[0]) if near else None
