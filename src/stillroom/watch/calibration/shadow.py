"""A new version of the detectors beside the one that counts: what would it change, before it changes anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

from scipy.stats import binomtest

from stillroom.base.records import FindingStatus
from stillroom.text.counted import counted
from stillroom.watch.calibration.share import Share, alarm_share

FEWEST_WEEKS = 2


@dataclass(frozen=True, slots=True)
class VersionAlarms:
    """What one version of the detectors alarmed on, in weeks that its thresholds were not fitted on."""

    version: str
    organisations: Set[str]
    """Those that alarmed."""
    budget_per_week: float


@dataclass(frozen=True, slots=True)
class ComparedAlarm:
    organisation: str
    by_old: bool
    by_new: bool
    label: FindingStatus
    """`open` where nobody has looked at it yet."""


@dataclass(frozen=True, slots=True)
class ShadowComparison:
    old: str
    new: str
    weeks: float
    alarms: tuple[ComparedAlarm, ...]
    """By organisation: those that only one version alarmed on first."""
    old_share: Share
    new_share: Share
    p_value: float
    """McNemar's exact test: how often so many more alarms of one version come about if neither alarms more."""
    against: tuple[str, ...]
    """Sentences: why the new version should not count yet. Empty where nothing speaks against it."""

    def counts(self) -> dict[str, dict[FindingStatus, int]]:
        """How many alarms `both`, `only old` and `only new` have, by what people decided on them."""
        table: dict[str, Counter[FindingStatus]] = {"both": Counter(), "only old": Counter(), "only new": Counter()}
        for alarm in self.alarms:
            column = "both" if alarm.by_old and alarm.by_new else "only old" if alarm.by_old else "only new"
            table[column][alarm.label] += 1
        return {column: dict(labels) for column, labels in table.items()}


def compare_versions(
    old: VersionAlarms,
    new: VersionAlarms,
    organisations: Set[str],
    labels: Mapping[str, FindingStatus],
    *,
    weeks: float,
    clusters: Mapping[str, str] | None = None,
) -> ShadowComparison:
    """Both versions on the same organisations and weeks. Drills count for what is found, and in no share.

    Raises ValueError as `alarm_share` does.
    """
    drills = {name for name, status in labels.items() if status == "drill"}
    alarms = [
        ComparedAlarm(name, name in old.organisations, name in new.organisations, labels.get(name, "open"))
        for name in sorted(old.organisations | new.organisations)
    ]
    alarms.sort(key=lambda alarm: alarm.by_old == alarm.by_new)
    only_new = sum(not alarm.by_old for alarm in alarms if alarm.label != "drill")
    differing = sum(alarm.by_old != alarm.by_new for alarm in alarms if alarm.label != "drill")
    old_share, new_share = (
        alarm_share(each.organisations - drills, organisations - drills, weeks=weeks, clusters=clusters)
        for each in (old, new)
    )
    return ShadowComparison(
        old=old.version,
        new=new.version,
        weeks=weeks,
        alarms=tuple(alarms),
        old_share=old_share,
        new_share=new_share,
        p_value=float(binomtest(only_new, differing, 0.5).pvalue) if differing else 1.0,
        against=tuple(_against(alarms, new_share, new.budget_per_week)),
    )


def _weeks(share: Share) -> str:
    return f"{share.weeks:g} {'week' if share.weeks == 1 else 'weeks'}"


def _against(alarms: list[ComparedAlarm], share: Share, budget_per_week: float) -> list[str]:
    reasons = []
    if share.weeks < FEWEST_WEEKS:
        reasons.append(f"They ran beside each other for {_weeks(share)} only.")
    for label, words in (("confirmed", "that was confirmed"), ("drill", "that is a drill")):
        missed = [alarm.organisation for alarm in alarms if alarm.label == label and not alarm.by_new]
        if missed:
            reasons.append(f"The new version misses {counted(len(missed), 'organisation')} {words}: {missed[0]}.")
    dismissed_before, dismissed_now = (
        sum(getattr(alarm, by) for alarm in alarms if alarm.label == "dismissed") for by in ("by_old", "by_new")
    )
    if dismissed_now > dismissed_before:
        reasons.append(
            f"It alarms on {counted(dismissed_now, 'organisation')} that people dismissed; the old one on "
            f"{dismissed_before:,}."
        )
    undecided = sum(not alarm.by_old and alarm.label in ("open", "asked") for alarm in alarms)
    if undecided:
        reasons.append(f"Nobody has decided on {counted(undecided, 'alarm')} that only the new version gives.")
    confirmed = sum(alarm.by_new for alarm in alarms if alarm.label == "confirmed")
    if share.alarmed - confirmed > budget_per_week * share.weeks:
        reasons.append(
            f"It alarmed on {counted(share.alarmed - confirmed, 'organisation')} that nobody confirmed, in "
            f"{_weeks(share)}; "
            f"the budget is {budget_per_week:g} a week."
        )
    return reasons
