"""When a finding of today is one of earlier weeks, so that it keeps its id, its history and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

SHARED_MEMBERS = 0.5
"""Two campaigns are one where they share this share of the smaller one's accounts, and two accounts at least."""
INHERITED_FAMILIES = 2
"""Or where what links them is the same in this many families, whoever the accounts are now."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a finding is known again by."""

    kind: str
    accounts: Set[str]
    organisations: Set[str]
    link_values: Set[str]
    """`FAMILY:KIND:VALUE`."""


def likeness(old: Trace, new: Trace) -> float:
    """0 where they are two findings. Otherwise the greater, the surer: 2 at most, below 1 by inherited links alone.

    An organisation's own finding goes on as long as it is the same organisation's.
    """
    if old.kind != new.kind:
        return 0.0
    if old.kind == "account":
        return 2.0 if old.organisations & new.organisations else 0.0
    shared = len(old.accounts & new.accounts)
    share = shared / max(1, min(len(old.accounts), len(new.accounts)))
    if shared >= 2 and share >= SHARED_MEMBERS:
        return 1 + shared / len(old.accounts | new.accounts)
    inherited = old.link_values & new.link_values
    if len({value.partition(":")[0] for value in inherited}) < INHERITED_FAMILIES:
        return 0.0
    return len(inherited) / (1 + len(old.link_values | new.link_values))


def known_again(old: Mapping[str, Trace], new: Mapping[str, Trace]) -> dict[str, str]:
    """For each id of a new one, the id that it gets: that of the old one that it is, or its own.

    No old one is two new ones: the one that has its id gets it, then the likest.
    """
    names = {name: name for name in new if name in old}
    pairs = sorted((-likeness(old[kept], new[name]), name, kept) for name in new if name not in old for kept in old)
    for unlikeness, name, kept in pairs:
        if unlikeness < 0 and name not in names and kept not in names.values():
            names[name] = kept
    return {name: names.get(name, name) for name in new}
