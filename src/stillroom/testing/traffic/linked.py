"""The links that a campaign's accounts leave: a network, a card, a program, or the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.accounts import Accounts
from stillroom.testing.traffic.calls import Draft
from stillroom.testing.traffic.keys import fresh
from stillroom.testing.traffic.world import DAY_US, NEW_MODEL, World

if TYPE_CHECKING:
    from stillroom.testing.traffic.campaign import Campaign

FAMILIES = frozenset({"network", "payment", "client", "time"})
_ACCOUNTS_OF_A_CARD = 10
_STEP_HOURS = 3
_TURNS, _LEGS = 5, 8


def link_accounts(
    generator: np.random.Generator, world: World, accounts: Accounts, families: frozenset[str], networks: int
) -> None:
    """In place. Families that are not named stay as customers' are: each account's own."""
    count = len(accounts)
    if "network" in families:
        pool = fresh(generator, networks)
        accounts.networks = pool[generator.integers(0, networks, accounts.networks.shape)]
    if "payment" in families:
        cards = fresh(generator, -(-count // _ACCOUNTS_OF_A_CARD))
        accounts.billing = cards[np.arange(count) % len(cards)]
    if "client" in families:
        agent, system = world.own_agent(generator, 1), fresh(generator, 1)
        accounts.with_values(program=-1, agent=agent, variant=accounts.variant[:1], second_agent=-1, systems=system)


def replace_accounts(generator: np.random.Generator, accounts: Accounts, replaced: int) -> None:
    """In place: the last `replaced` accounts go on where some of the others were closed on the way."""
    if not replaced:
        return
    first = len(accounts) - replaced
    closed, new = generator.permutation(first)[:replaced], np.arange(first, len(accounts))
    part = generator.uniform(0.3, 0.7, replaced)
    accounts.first_day[new] = accounts.first_day[closed] * (1 - part) + accounts.last_day[closed] * part
    accounts.last_day[new] = accounts.last_day[closed]
    accounts.last_day[closed] = accounts.first_day[new]
    accounts.volume[new] = np.maximum(1, (accounts.volume[closed] * (1 - part)).astype(np.int64))
    accounts.volume[closed] = np.maximum(1, accounts.volume[closed] - accounts.volume[new])


def step_together(
    generator: np.random.Generator, world: World, draft: Draft, asked: npt.NDArray[np.int64], setting: Campaign
) -> None:
    """Calls are moved, in place. `asked`: the rows of the calls that ask the campaign's questions."""
    day = (draft.calls.at - world.start_at) // DAY_US
    rest = (draft.calls.at - world.start_at) % DAY_US
    caller = draft.calls.caller
    within = day - setting.start_day
    if setting.time == "in_step":
        # In hours that customers call in too, other ones each day.
        start = np.minimum(rest[generator.integers(0, len(rest), world.days)], DAY_US - _STEP_HOURS * DAY_US // 24)
        rest[asked] = start[day[asked]] + rest[asked] * _STEP_HOURS // 24
    elif setting.time == "turns":
        turns = min(setting.accounts, _TURNS, setting.days)
        moved = within - within % turns + caller % turns
        within = np.where(moved < setting.days, moved, moved - turns).clip(0)
    else:
        legs = min(setting.accounts, _LEGS, setting.days)
        length = setting.days // legs
        within = caller % legs * length + within % length
    draft.calls.at = world.start_at + (setting.start_day + within) * DAY_US + rest
    too_early = (draft.calls.model == NEW_MODEL) & (draft.calls.at < world.start_at + world.launch_day * DAY_US)
    draft.calls.model = np.where(too_early, draft.accounts.model[caller], draft.calls.model)
