"""What several twins do to the accounts and calls that they start from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.accounts import TEXT_KINDS, Accounts, draw_accounts
from stillroom.testing.traffic.calls import Draft
from stillroom.testing.traffic.keys import fresh
from stillroom.testing.traffic.world import DAY_US, World

HOUR_US = DAY_US // 24


def customers(
    generator: np.random.Generator, world: World, role: str, count: int, calls: float, spread: float = 0.5
) -> Accounts:
    """Accounts with about so many calls each, all through the traffic, each of an organisation of its own."""
    accounts = draw_accounts(generator, world, count, calls, role)
    volume = np.maximum(1, generator.lognormal(np.log(calls), spread, count)).astype(np.int64)
    return accounts.with_values(volume=volume, first_day=0.0, last_day=float(world.days))


def of_one_organisation(accounts: Accounts) -> Accounts:
    return accounts.with_values(organisation=accounts.organisation[:1], billing=accounts.billing[:1])


def asking_only(accounts: Accounts, *kinds: tuple[int, float]) -> Accounts:
    """Each kind of text with its share."""
    shares = np.full(TEXT_KINDS, 1e-9)
    for kind, share in kinds:
        shares[kind] = share
    return accounts.with_values(texts=shares / shares.sum())


def with_one_program(generator: np.random.Generator, world: World, accounts: Accounts) -> Accounts:
    """The same program of their own and the same system prompt."""
    return accounts.with_values(
        program=-1, agent=world.own_agent(generator, 1), second_agent=-1, variant=0, systems=fresh(generator, 1)
    )


def within_hours(
    generator: np.random.Generator, draft: Draft, begin: npt.NDArray[np.float64] | float, length: float
) -> None:
    """Calls keep their day and order, and move into the hours from `begin` (UTC, one for each account or for all)."""
    calls = draft.calls
    day, rest = calls.at // DAY_US, calls.at % DAY_US
    start = np.broadcast_to(np.asarray(begin, np.float64), len(draft.accounts))[calls.caller]
    jitter = generator.normal(0, 0.02, len(calls))
    part = np.clip(rest / DAY_US + jitter, 0, 0.999)
    calls.at = day * DAY_US + ((start + part * length) % 24 * HOUR_US).astype(np.int64)


def on_weekdays(draft: Draft, world: World) -> None:
    """Calls at a weekend move to the Friday before, or to the Monday after where there is none."""
    calls = draft.calls
    day, rest = (calls.at - world.start_at) // DAY_US, (calls.at - world.start_at) % DAY_US
    day = np.where(day % 7 >= 5, day - day % 7 + 4, day)
    calls.at = world.start_at + day * DAY_US + rest
