"""What ties the organisations of a group in time: hours in step, taking turns, one going on where another stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from stillroom.watch.links.in_step import InStep, in_step
from stillroom.watch.links.population import Integers, Population
from stillroom.watch.links.tie import Tie
from stillroom.watch.links.turns import Turns, relay, turns

_LOG10_P = -7.0
"""Lower than for keys: how people use their hours is known less well than how many have a card."""
_MOST_MEMBERS = 400
"""Of a larger group as many are looked at, evenly chosen: more add time and no certainty."""
_FIRST_ORDERS, _WORTH_MORE = 39, -1.5
"""Few orders are tried first: a group that nothing ties is told by them as well, in a tenth of the time."""
_HOUR_US = 3_600_000_000


def time_links(members: Integers, population: Population) -> list[Tie]:
    """Those that hold for the group, the least probable first."""
    looked_at = members[np.linspace(0, len(members) - 1, min(len(members), _MOST_MEMBERS)).astype(np.int64)]
    empty = population.empty_days
    hours = population.hours_of(looked_at)[:, 24 * empty :]
    since_day, until_day = population.window.since_day + empty, population.window.until_day
    first_at, last_at = population.span_of(looked_at)
    everyone = population.active_share_without(looked_at)[24 * empty :]
    tested = {
        "in step": _in_two_steps(lambda orders: in_step(hours, everyone, since_day, most_orders=orders)),
        "turns": _in_two_steps(lambda orders: turns(hours, since_day, most_orders=orders)),
        "relay": relay(first_at, last_at, since_day * 24 * _HOUR_US, until_day * 24 * _HOUR_US),
    }
    found = [
        Tie("time", kind, members, one.log10_p, 1, None, one.sentence)
        for kind, one in tested.items()
        if one is not None and one.log10_p <= _LOG10_P
    ]
    return sorted(found, key=lambda tie: tie.log10_p)


Tested = TypeVar("Tested", InStep, Turns)


def _in_two_steps(test: Callable[[int | None], Tested | None]) -> Tested | None:
    first = test(_FIRST_ORDERS)
    return first if first is None or first.log10_p > _WORTH_MORE else test(None)
