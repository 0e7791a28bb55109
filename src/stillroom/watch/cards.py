"""What accounts pay with, by their events: a card is registered once, and may be in no call of a window."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from stillroom.watch.counts import DAY_US
from stillroom.watch.window import KEYS


def with_cards(keys: pa.Table, activity: pa.Table, events: pa.Table, since_day: int) -> pa.Table:
    """`keys` and, with 0 calls, the last card of each account that has calls, where no call says it.

    `events`: until the window's end. A card that was registered before the window counts from its first day.
    """
    active = set(activity.filter(pc.greater(activity["calls"], pa.scalar(0)))["account"].to_pylist())
    last: dict[str, tuple[str, int]] = {}
    for row in events.select(["account", "at", "prints"]).sort_by("at").to_pylist():
        card = _card(row["prints"])
        if card is not None and row["account"] in active:
            last[row["account"]] = (card, max(row["at"] // DAY_US, since_day))
    said = keys.filter(pc.equal(keys["kind"], pa.scalar("billing"))).select(["account", "value"]).to_pylist()
    known = {(row["account"], row["value"]) for row in said}
    rows = [
        {"account": account, "kind": "billing", "value": card, "calls": 0, "first_day": day, "last_day": day}
        for account, (card, day) in last.items()
        if (account, card) not in known
    ]
    return pa.concat_tables([keys, pa.Table.from_pylist(rows, KEYS)])


def _card(prints: str | None) -> str | None:
    """None where the event says nothing of a card, or is not what an event should be."""
    try:
        value = json.loads(prints) if prints else None
    except ValueError:
        return None
    card = value.get("billing") if isinstance(value, dict) else None
    return card if isinstance(card, str) and card else None
