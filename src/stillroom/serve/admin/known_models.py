"""Names of models in what an administrator asks for: a wrong one would be found out by whoever calls, much later."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from stillroom.serve.accounts.problems import Conflict
from stillroom.text.nearest import nearest_name

_LISTED = 8


def refuse_unknown_models(named: Iterable[str], served: Collection[str]) -> None:
    """Raises Conflict for the first one that is not served here."""
    for name in named:
        if name not in served:
            near = nearest_name(name, served)
            there = ", ".join(sorted(served)[:_LISTED]) + (", ..." if len(served) > _LISTED else "")
            raise Conflict(
                f"There is no model {name!r} here.", f"Did you mean {near}?" if near else f"There is: {there}."
            )
