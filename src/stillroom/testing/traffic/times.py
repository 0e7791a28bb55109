"""When accounts call: the rhythm of their client model, rescaled to their volume, with the days and hours varied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.accounts import Accounts
from stillroom.testing.traffic.clients import WINDOW_S, WINDOWS_PER_DAY, unit_gaps
from stillroom.testing.traffic.world import World

_DAY_SPREAD, _HOUR_SPREAD = 0.4, 0.5


def callers(accounts: Accounts) -> npt.NDArray[np.int64]:
    """The account's row of each call, account by account."""
    return np.repeat(np.arange(len(accounts)), accounts.volume)


def draw_times(generator: np.random.Generator, world: World, accounts: Accounts) -> npt.NDArray[np.int64]:
    """UTC in microseconds of each call of `callers`, in order within each account.

    Gaps are drawn as the client's, and run on a clock that goes as fast as the account's rate at the time: few calls
    keep the bursts of many.
    """
    caller = callers(accounts)
    gaps = unit_gaps(generator, world.clients, accounts.client[caller])
    ends = np.cumsum(accounts.volume)
    starts = ends - accounts.volume
    total = np.cumsum(gaps)
    before = np.concatenate([[0.0], total])[starts]
    first = generator.random(len(accounts)) * gaps[starts]  # it had been calling before, and goes on after
    rest = generator.standard_exponential(len(accounts))
    passed = np.maximum(total - (before + first)[caller], 0.0)
    elapsed = passed / (total[ends - 1] - before - first + rest)[caller]
    days = generator.lognormal(0, _DAY_SPREAD, (len(accounts), world.days))
    hours = generator.lognormal(0, _HOUR_SPREAD, (len(accounts), world.days * 24))
    edges = np.arange(world.days * WINDOWS_PER_DAY + 1, dtype=np.float64) * WINDOW_S
    at = np.empty(len(caller))
    for account, (start, end) in enumerate(zip(starts, ends, strict=True)):
        clock = _clock(world, accounts, account, days[account], hours[account])
        at[start:end] = np.interp(elapsed[start:end] * clock[-1], clock, edges)
    return world.start_at + (at * 1e6).astype(np.int64)


def _clock(
    world: World,
    accounts: Accounts,
    account: int,
    by_day: npt.NDArray[np.float64],
    by_hour: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """What has passed of the account's calls at the edge of each window."""
    own = world.clients.rates[accounts.client[account]]
    shift = int(accounts.rolled[account] + accounts.zone[account] * 6)
    windows = world.days * WINDOWS_PER_DAY
    rate = own.take(np.arange(shift, shift + windows), mode="wrap")
    day = np.arange(world.days)
    factor = by_day * np.where(day % 7 >= 5, accounts.weekend[account], 1.0)
    factor = factor * np.exp(accounts.growth[account] * day / world.days)
    rate = (rate.reshape(world.days, 24, -1) * (factor[:, None] * by_hour.reshape(-1, 24))[:, :, None]).ravel()
    within = np.arange(windows) / WINDOWS_PER_DAY
    is_customer = (within >= accounts.first_day[account]) & (within < accounts.last_day[account])
    live = np.where(is_customer, rate, 0.0)
    if live.sum() <= 0:  # a client with few windows of calls, and none of them while the account lived
        live = is_customer.astype(np.float64)
    return np.concatenate([[0.0], np.cumsum(live)])
