"""What came of the drills: which share of them was seen, of how many of their accounts, and after how many days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.records import Finding
from stillroom.watch.drill import Drill, Drills
from stillroom.watch.review.store import FindingStore

SEEN_SHARE = 0.5
"""A drill counts as seen from the first finding on that holds this share of its accounts."""
_CLOCK = SystemClock()
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class DrillOutcome:
    drill: Drill
    is_over: bool
    findings: tuple[str, ...]
    """Those that hold any of its accounts."""
    accounts_found: int
    """How many of its accounts the largest of them holds."""
    strangers: int
    """Accounts that these findings hold beside the drill's: they stand in a finding of which we know the truth."""
    days_until_seen: float | None
    """From the drill's beginning to the first finding that saw it; None where none did."""

    @property
    def is_seen(self) -> bool:
        return self.days_until_seen is not None


@dataclass(frozen=True, slots=True)
class DrillReport:
    outcomes: tuple[DrillOutcome, ...]
    seen: int
    over: int
    """Drills that have ended, or were seen before they did: `seen` of these were seen."""
    recall: float | None
    low: float | None
    high: float | None
    """The share that was seen, and its 95 % interval (Clopper and Pearson); None where no drill has ended."""


def drill_report(watch: Path, clock: Clock = _CLOCK) -> DrillReport:
    """Of all registered drills. A finding from before a drill's registration is none of it. Raises StoreError."""
    store, now = FindingStore(watch, clock), clock.now_us()
    outcomes = tuple(_outcome(drill, store.versions_since(drill.registered_at), now) for drill in Drills(watch).list())
    counted = [outcome for outcome in outcomes if outcome.is_over or outcome.is_seen]
    seen = sum(outcome.is_seen for outcome in counted)
    if not counted:
        return DrillReport(outcomes, 0, 0, None, None, None)
    low, high = proportion_confint(seen, len(counted), method="beta")
    return DrillReport(outcomes, seen, len(counted), seen / len(counted), float(low), float(high))


def _outcome(drill: Drill, versions: Sequence[Finding], now: int) -> DrillOutcome:
    held = {
        version: len(drill.accounts.intersection(version.accounts))
        for version in versions
        if version.since_at < drill.until_at and drill.since_at < version.until_at
    }
    held = {version: count for version, count in held.items() if count}
    saw = [version.found_at for version, count in held.items() if count >= SEEN_SHARE * len(drill.accounts)]
    strangers = {account for version in held for account in version.accounts} - drill.accounts
    return DrillOutcome(
        drill=drill,
        is_over=now >= drill.until_at,
        findings=tuple(dict.fromkeys(version.id for version in held)),
        accounts_found=max(held.values(), default=0),
        strangers=len(strangers),
        days_until_seen=(min(saw) - drill.since_at) / _DAY_US if saw else None,
    )
