"""Groups of organisations by when and from where they call, for reports on who is alarmed on. They never score."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stillroom.watch.calibration.groups import UNKNOWN
from stillroom.watch.tables import HOURS

BAND_HOURS = 4
MANY_BEHIND_ONE = 10
"""Organisations from which on those behind one address are a group of their own, such as an office."""


def busiest_hours(activity: pa.Table) -> dict[str, str]:
    """The four hours of the day (UTC) in which each organisation calls most; from a window's activity."""
    counts: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    by_hour = np.stack([np.nan_to_num(activity[hour].to_numpy().astype(np.float64)) for hour in HOURS], axis=1)
    for organisation, hours in zip(activity["organisation"].to_pylist(), by_hour, strict=True):
        name = str(organisation)
        counts[name] = counts.get(name, 0.0) + hours
    return {organisation: _busiest(hours.reshape(-1, BAND_HOURS).sum(axis=1)) for organisation, hours in counts.items()}


def shared_addresses(keys: pa.Table, activity: pa.Table) -> dict[str, str]:
    """How each organisation shares its addresses with others; from a window's keys and activity.

    Those behind an address of ten organisations or more are a group for each such address, the one with most of them.
    """
    organisation_of = _pairs(activity, "account", "organisation")
    organisations: dict[str, set[str]] = {}
    for account, kind, value in zip(
        keys["account"].to_pylist(), keys["kind"].to_pylist(), keys["value"].to_pylist(), strict=True
    ):
        if kind == "ip" and account in organisation_of:
            organisations.setdefault(str(value), set()).add(organisation_of[account])
    groups = dict.fromkeys(sorted(set(organisation_of.values())), UNKNOWN)
    for address, names in sorted(organisations.items(), key=lambda each: (len(each[1]), each[0])):
        groups.update(dict.fromkeys(names, _address_group(address, len(names))))
    return groups


def _pairs(table: pa.Table, key: str, value: str) -> dict[str, str]:
    return {str(one): str(other) for one, other in zip(table[key].to_pylist(), table[value].to_pylist(), strict=True)}


def _busiest(bands: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    start = int(bands.argmax()) * BAND_HOURS
    return f"{start:02} to {start + BAND_HOURS:02}" if bands.any() else UNKNOWN


def _address_group(address: str, organisations: int) -> str:
    if organisations >= MANY_BEHIND_ONE:
        return f"address {address[:8]}"
    return "shared address" if organisations > 1 else "own addresses"
