"""Signals of time: how much, since when, at which hours, how regularly, and how soon a new model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stillroom.watch.signals.organisations import Column, Measured, Organisations, Rows, codes, numbers, ratio
from stillroom.watch.tables import HOURS
from stillroom.watch.window import Window

FEWEST_CALLS = 100
"""Below, hours and growth are left to chance."""
FEWEST_GAPS = 100
RECENT_DAYS = 7
LONGEST_GAP_S = 600.0
"""What `activity.gaps` counts."""
LAUNCH_QUIET_DAYS, LAUNCH_ORGANISATIONS = 7, 5
"""A model is new in a window when nobody asked it in the first days, and so many organisations did later: a name that
one client made up is no launch."""
FEWEST_CALLS_SINCE = 20
SOON_DAYS = 1
"""A model may appear shortly before midnight."""


def measure_activity(window: Window, organisations: Organisations) -> Measured:
    rows, table = organisations.rows(window.activity)
    days = numbers(table, "day").astype(np.int64)
    calls = numbers(table, "calls")
    total = organisations.total(rows, calls)
    by_hour = np.stack([organisations.total(rows, numbers(table, hour)) for hour in HOURS], axis=1)
    values = {
        "volume": total / max(window.until_day - window.since_day, 1),
        "steadiness": _steadiness(organisations, rows, table),
    }
    facts = {
        "calls": total,
        "permitted_calls": organisations.total(rows, numbers(table, "permitted_calls")),
        "accounts": organisations.total(organisations.of_account),
        "active_days": organisations.total(np.unique(_with_day(rows, days)[calls > 0]) // _MOST_DAYS),
    }
    for measured, name in (
        (_growth(window, organisations, rows, days, calls), "growth"),
        (_evenness_of_hours(by_hour, total), "round_the_clock"),
        (_bursts(organisations, rows, days, table, total), "bursts"),
    ):
        values[name] = measured[0]
        facts |= measured[1]
    launched = _new_model(window, organisations, rows, days, calls)
    return Measured(values | launched.values, facts | launched.facts, launched.labels)


_MOST_DAYS = 10**6
"""Greater than any day of a window."""


def _with_day(rows: Rows, days: Rows) -> Rows:
    """One number for an organisation's day."""
    return rows * _MOST_DAYS + days


def _growth(
    window: Window, organisations: Organisations, rows: Rows, days: Rows, calls: Column
) -> tuple[Column, dict[str, Column]]:
    """Calls a day of the last seven days over those of the days before, of which there are seven at least."""
    nothing = np.full(len(organisations), np.nan)
    earlier_days = window.until_day - RECENT_DAYS - window.since_day
    if earlier_days < RECENT_DAYS:
        return nothing, {"recent_a_day": nothing, "before_a_day": nothing}
    is_recent = days >= window.until_day - RECENT_DAYS
    recent = organisations.total(rows[is_recent], calls[is_recent]) / RECENT_DAYS
    before = organisations.total(rows[~is_recent], calls[~is_recent]) / earlier_days
    is_known = (before > 0) & (organisations.total(rows, calls) >= FEWEST_CALLS)
    growth = np.where(is_known, (recent + 1) / (before + 1), np.nan)
    return growth, {"recent_a_day": recent, "before_a_day": before}


def _evenness_of_hours(by_hour: Column, total: Column) -> tuple[Column, dict[str, Column]]:
    """The effective number of hours of the day over 24: exp of the entropy, with Miller and Madow's correction."""
    shares = by_hour / np.maximum(by_hour.sum(axis=1, keepdims=True), 1)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    entropy += ((by_hour > 0).sum(axis=1) - 1) / (2 * np.maximum(total, 1))
    even = np.minimum(np.exp(entropy) / len(HOURS), 1)
    return np.where(total >= FEWEST_CALLS, even, np.nan), {"hours_of_day": (by_hour > 0).sum(axis=1).astype(float)}


def _bursts(
    organisations: Organisations, rows: Rows, days: Rows, table: pa.Table, total: Column
) -> tuple[Column, dict[str, Column]]:
    """Variance of an organisation's calls an hour beyond Poisson's, over the squared mean, from its first day to its
    last: zero of a constant rate."""
    _, first, at = np.unique(_with_day(rows, days), return_index=True, return_inverse=True)
    # An organisation's accounts together.
    by_day = np.stack([np.bincount(at, numbers(table, hour), minlength=len(first)) for hour in HOURS], axis=1)
    owner = rows[first]
    since, until = np.full(len(organisations), np.inf), np.full(len(organisations), -np.inf)
    is_active = by_day.sum(axis=1) > 0
    np.minimum.at(since, owner[is_active], days[first][is_active])
    np.maximum.at(until, owner[is_active], days[first][is_active])
    hours = np.where(np.isfinite(since), (until - since + 1) * len(HOURS), 1)
    mean = total / hours
    variance = organisations.total(owner, (by_day**2).sum(axis=1)) / hours - mean**2
    busiest = np.zeros(len(organisations))
    np.maximum.at(busiest, owner, by_day.max(axis=1, initial=0))
    burstiness = np.maximum(variance - mean, 0) / np.maximum(mean, 1e-12) ** 2
    is_known = (total >= FEWEST_CALLS) & (until > since)
    return np.where(is_known, burstiness, np.nan), {"busiest_hour": busiest, "calls_an_hour": mean}


def _steadiness(organisations: Organisations, rows: Rows, table: pa.Table) -> Column:
    """How much less the gaps between calls vary than those of calls by chance.

    The coefficient of variation that gaps of at most ten minutes have when calls come by chance (a truncated
    exponential distribution of the same mean) over the one that these have: 1 by chance, below 1 in bursts.
    """
    gaps, sums, squares = (organisations.total(rows, numbers(table, f"gaps{end}")) for end in ("", "_s", "_square_s"))
    count = np.maximum(gaps, 1)
    mean = np.maximum(sums / count, 1e-9)
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0)) / mean
    steadiness = chance_variation(mean) / np.maximum(spread, 0.01)
    return np.where((gaps >= FEWEST_GAPS) & (sums > 0), steadiness, np.nan)


def chance_variation(mean_s: Column) -> Column:
    """Coefficient of variation of an exponential distribution truncated at ten minutes, by its mean in seconds.

    A mean of five minutes or more belongs to no such distribution: there it is that of a uniform one.
    """
    rate = np.geomspace(1e-3, 1e4, 2000)  # calls in ten minutes
    left = np.exp(-rate) / -np.expm1(-rate)
    mean = 1 / rate - left
    square = 2 / rate**2 - left * (1 + 2 / rate)
    variation = np.sqrt(np.maximum(square - mean**2, 0)) / mean
    # The mean falls as the rate grows; interpolation wants it rising.
    return np.interp(mean_s / LONGEST_GAP_S, mean[::-1], variation[::-1])


def _new_model(window: Window, organisations: Organisations, rows: Rows, days: Rows, calls: Column) -> Measured:
    """The share of an organisation's calls since a model appeared that go to it, where it took it up at once."""
    share, labels = np.full(len(organisations), np.nan), [None] * len(organisations)
    owners, table = organisations.rows(window.models)
    if "model" in window.missing or not len(owners):
        return Measured({"new_model": share}, {"new_model_day": share}, {"new_model": list(labels)})
    model, names = codes(table["model"])
    first_day, to_model = numbers(table, "first_day").astype(np.int64), numbers(table, "calls")
    best, chosen, launched_on = share.copy(), list[str | None](labels), share.copy()
    for place, launch in _launches(window, owners, model, first_day).items():
        is_since, is_at_once = days >= launch, (model == place) & (first_day <= launch + SOON_DAYS)
        since = organisations.total(rows[is_since], calls[is_since])
        part = ratio(organisations.total(owners[is_at_once], to_model[is_at_once]), since, FEWEST_CALLS_SINCE)
        best = np.fmax(best, np.where(np.isnan(part), np.nan, 0))
        for organisation in np.flatnonzero(part > best):
            best[organisation], launched_on[organisation] = min(part[organisation], 1.0), launch
            chosen[organisation] = names[place]
    return Measured({"new_model": best}, {"new_model_day": launched_on}, {"new_model": chosen})


def _launches(window: Window, owners: Rows, model: Rows, first_day: Rows) -> dict[int, int]:
    """The day on which each model appeared, of those that did within the window."""
    launch = np.full(model.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(launch, model, first_day)
    users = np.bincount(np.unique(np.stack([model, owners]), axis=1)[0], minlength=len(launch))
    is_new = (launch >= window.since_day + LAUNCH_QUIET_DAYS) & (users >= LAUNCH_ORGANISATIONS)
    return {int(place): int(launch[place]) for place in np.flatnonzero(is_new)}
