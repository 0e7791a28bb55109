"""Whether some kinds of customers are alarmed on more than others. Reported; none of it ever scores."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact

from stillroom.watch.calibration.share import ALPHA, Share, alarm_share

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GroupShare:
    group: str
    share: Share
    p_value: float
    """Fisher's exact test against all other organisations, corrected for all groups (Holm 1979)."""
    stands_out: bool
    """Whether it is alarmed on more than all others together, and not by chance."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    by: str
    groups: tuple[GroupShare, ...]
    """The greatest share first."""

    @property
    def sentence(self) -> str:
        standing_out = [each.group for each in self.groups if each.stands_out]
        if not standing_out:
            return f"By {self.by}: no group is alarmed on more than the others beyond chance."
        return f"By {self.by}, alarmed on more than the others: {', '.join(standing_out)}."


def group_report(
    by: str, groups: Mapping[str, str], alarms: Set[str], organisations: Set[str], *, weeks: float
) -> GroupReport:
    """`groups` says of organisations which group they are in, by whatever the operator knows of them: language, say.

    Those that it does not name are in a group of their own, `unknown`. Raises ValueError as `alarm_share` does.
    """
    members: dict[str, set[str]] = {}
    for name in organisations:
        members.setdefault(groups.get(name, UNKNOWN), set()).add(name)
    shares = {group: alarm_share(alarms & names, names, weeks=weeks) for group, names in members.items()}
    alarmed = len(alarms & organisations)
    p_values = _holm({group: _p_value(share, alarmed, len(organisations)) for group, share in shares.items()})
    found = [
        GroupShare(
            group, share, p_values[group], p_values[group] < ALPHA and share.share > alarmed / len(organisations)
        )
        for group, share in shares.items()
    ]
    return GroupReport(by, tuple(sorted(found, key=lambda each: (-each.share.share, each.group))))


def _p_value(share: Share, alarmed: int, organisations: int) -> float:
    """Of the difference between a group and all others; 1 where there are no others."""
    others, others_alarmed = organisations - share.organisations, alarmed - share.alarmed
    table = np.array([[share.alarmed, share.organisations - share.alarmed], [others_alarmed, others - others_alarmed]])
    return float(fisher_exact(table).pvalue)


def _holm(p_values: Mapping[str, float]) -> dict[str, float]:
    corrected, largest = {}, 0.0
    for rank, group in enumerate(sorted(p_values, key=lambda group: p_values[group])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[group]))
        corrected[group] = largest
    return corrected
