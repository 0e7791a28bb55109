"""Traffic of customers, who distil nothing: ordinary ones, and those that look like a campaign."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from stillroom.testing.traffic.accounts import Accounts, draw_accounts
from stillroom.testing.traffic.calls import Draft, draw_calls
from stillroom.testing.traffic.keys import stream
from stillroom.testing.traffic.traffic import Traffic, traffic_of
from stillroom.testing.traffic.twins import TWINS
from stillroom.testing.traffic.world import World, make_world

START_AT = 1_791_763_200_000_000
"""Monday, 2026-10-12, 00:00 UTC: four weeks from there lie in one epoch of the keys, past its overlap with the last."""
_MOST_ACCOUNTS = 10


def benign(
    seed: int,
    *,
    organisations: int = 2_000,
    weeks: int = 4,
    start_at: int = START_AT,
    calls_per_organisation: float = 250,
    twins: Collection[str] = tuple(TWINS),
    data: Path | None = None,
) -> Traffic:
    """The traffic of so many ordinary organisations, and of the hard benign cases beside them.

    `calls_per_organisation`: the mean; the middle one makes about a quarter of that. `start_at`: UTC in microseconds,
    the beginning of a Monday if weekends are to lie where they should. `twins`: names of TWINS. `data`: the folder of
    real texts and client models; the bundled ones if not given. Raises ValueError for an unknown twin or a number out
    of range, and DataError.
    """
    if min(seed, organisations) < 0 or weeks < 1 or not calls_per_organisation > 0:
        raise ValueError(
            "seed and organisations are at least 0, weeks at least 1, and calls_per_organisation is above 0"
        )
    unknown = sorted({*twins} - {*TWINS})
    if unknown:
        raise ValueError(f"no twin is called {', '.join(unknown)}: {', '.join(TWINS)}")
    world = make_world(seed, data, start_at, weeks * 7)
    drafts = [_ordinary(stream(seed, "benign"), world, organisations, calls_per_organisation)]
    drafts += [make(stream(seed, f"twin {name}"), world) for name, make in TWINS.items() if name in twins]
    return traffic_of(seed, world, Draft.joined(drafts), "benign")


def _ordinary(generator: np.random.Generator, world: World, organisations: int, mean_calls: float) -> Draft:
    """Three of four organisations have one account; an organisation's accounts are much alike."""
    first = draw_accounts(generator, world, organisations, mean_calls, "benign")
    size = np.where(generator.random(organisations) < 0.75, 1, 1 + generator.geometric(0.5, organisations))
    size = np.minimum(size, _MOST_ACCOUNTS)
    owner = np.repeat(np.arange(organisations), size)
    accounts = draw_accounts(generator, world, len(owner), mean_calls, "benign")
    _share_what_organisations_share(generator, accounts, first, owner)
    part = generator.gamma(1.0, size=len(owner)) + 0.05
    part /= np.bincount(owner, part)[owner]
    accounts.volume = np.maximum(1, (first.volume[owner] * part).astype(np.int64))
    return draw_calls(generator, world, accounts)


def _share_what_organisations_share(
    generator: np.random.Generator,
    accounts: Accounts,
    first: Accounts,
    owner: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> None:
    for name in ("organisation", "client", "billing", "zone", "first_day", "last_day", "program", "agent", "pinned"):
        setattr(accounts, name, getattr(first, name)[owner].copy())
    is_near = generator.random(len(owner)) < 0.8
    accounts.networks[is_near] = first.networks[owner[is_near]]
    is_same_application = generator.random(len(owner)) < 0.5
    accounts.systems[is_same_application] = first.systems[owner[is_same_application]]
