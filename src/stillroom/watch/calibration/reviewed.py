"""What people's reviews make of an alarm share: a false-alarm rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from stillroom.base.records import Finding, FindingStatus
from stillroom.text.counted import counted
from stillroom.watch.calibration.share import Share, alarm_share, exact_interval

_STRONGEST_FIRST: tuple[FindingStatus, ...] = ("drill", "confirmed", "open", "asked", "dismissed")


@dataclass(frozen=True, slots=True)
class FalseAlarmRate:
    """Of the organisations that were not found guilty, how many alarmed for nothing; the interval is at 95 %.

    `rate` counts those that were dismissed. Alarms that nobody has decided on yet may be either: the interval reaches
    from none of them being false to all of them.
    """

    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """What alarmed in some weeks, the operator's own drills left out."""

    alarms: Share
    confirmed: int
    dismissed: int
    undecided: int
    false_alarms: FalseAlarmRate | None
    """None while nobody has decided on any alarm: then there is an alarm share, and nothing says how much is false."""
    precision: tuple[float, float] | None
    """The 95 % interval of the share of alarms, among those decided on, that were confirmed."""

    @property
    def sentence(self) -> str:
        alarms = self.alarms
        low, high = alarms.expected_per_month_interval
        weeks = f"{alarms.weeks:g} {'week' if alarms.weeks == 1 else 'weeks'}"
        seen = (
            f"{alarms.alarmed:,} of {counted(alarms.organisations, 'organisation')} ({_percent(alarms.share)}, "
            f"{_percent(alarms.low)} to {_percent(alarms.high)}) alarmed in {weeks}: "
            f"{alarms.expected_per_month:.1f} organisations a month are expected ({low:.1f} to {high:.1f})."
        )
        if self.false_alarms is None:
            return f"{seen} No alarm has been decided on yet, so this is an alarm share, not a false-alarm rate."
        rate = self.false_alarms
        return (
            f"{seen} Confirmed {self.confirmed:,}, dismissed {self.dismissed:,}, undecided {self.undecided:,}: "
            f"false-alarm rate {_percent(rate.rate)} ({_percent(rate.low)} to {_percent(rate.high)})."
        )


def label_organisations(findings: Iterable[Finding]) -> dict[str, FindingStatus]:
    """What people decided on each organisation that is in any finding.

    One that is in several is confirmed if any of these is, and dismissed only if all are.
    """
    labels: dict[str, FindingStatus] = {}
    for finding in findings:
        for organisation in finding.organisations:
            known = labels.get(organisation, finding.status)
            labels[organisation] = min(known, finding.status, key=_STRONGEST_FIRST.index)
    return labels


def alarm_report(
    alarms: Set[str],
    organisations: Set[str],
    labels: Mapping[str, FindingStatus],
    *,
    weeks: float,
    clusters: Mapping[str, str] | None = None,
) -> AlarmReport:
    """`labels` are of organisations that alarmed (see `label_organisations`); one without a label is undecided.

    Raises ValueError as `alarm_share` does.
    """
    drills = {name for name, status in labels.items() if status == "drill"}
    alarmed, watched = alarms - drills, organisations - drills
    confirmed = {name for name in alarmed if labels.get(name) == "confirmed"}
    dismissed = {name for name in alarmed if labels.get(name) == "dismissed"}
    decided = len(confirmed) + len(dismissed)
    rate = None
    if decided and (innocent := watched - confirmed):
        least = alarm_share(dismissed, innocent, weeks=weeks, clusters=clusters)
        most = alarm_share(alarmed - confirmed, innocent, weeks=weeks, clusters=clusters)
        rate = FalseAlarmRate(least.share, least.low, most.high)
    return AlarmReport(
        alarms=alarm_share(alarmed, watched, weeks=weeks, clusters=clusters),
        confirmed=len(confirmed),
        dismissed=len(dismissed),
        undecided=len(alarmed) - decided,
        false_alarms=rate,
        precision=exact_interval(len(confirmed), decided) if decided else None,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
