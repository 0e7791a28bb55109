"""From windows to findings: organisations that stand out alone, and organisations that act as one.

What each organisation does is held against the operator's own earlier weeks (`Calibrated`); what they do together is
tested against chance, and a threshold on how much they took together keeps the operator's budget of alarms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import log10

from stillroom.watch.calibration.threshold import Threshold, fit
from stillroom.watch.campaigns import FEWEST_QUESTIONS, Campaign, campaigns
from stillroom.watch.describe import described_account, described_campaign
from stillroom.watch.links.population import Population
from stillroom.watch.review.found import Found
from stillroom.watch.signals.candidates import AccountCandidate, candidates_of
from stillroom.watch.signals.measure import Signals, signals_of
from stillroom.watch.signals.standing import Standings, fit_standings
from stillroom.watch.window import Window

DETECTOR_VERSION = "1"
"""Of the code. A calibration has a name of its own beside it."""
_WEEK = 7
RECENT_DAYS, WHOLE_DAYS = 14, 28
"""How far back an organisation alone is looked at, and how far groups are."""
_LOWEST_CAMPAIGN = log10(FEWEST_QUESTIONS)


@dataclass(frozen=True, slots=True)
class Windows:
    """The same calls, up to the same day."""

    recent: Window
    """Of `RECENT_DAYS`."""
    whole: Window
    """Of `WHOLE_DAYS`."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the operator's earlier weeks say about what is usual. Without it, no organisation alone is a finding."""

    standings: Standings
    account: Threshold
    campaign: Threshold


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a look found before any threshold: the same for all calibrations."""

    windows: Windows
    population: Population
    campaigns: list[Campaign]
    signals: Signals
    """Of organisations alone, in the recent window."""

    def reached(self, calibrated: Calibrated | None) -> tuple[list[Campaign], list[AccountCandidate]]:
        """Campaigns that reach their threshold, and organisations that do alone and are in none of these."""
        lowest = _LOWEST_CAMPAIGN if calibrated is None else max(calibrated.campaign.score, _LOWEST_CAMPAIGN)
        together = [one for one in self.campaigns if one.score >= lowest]
        if calibrated is None:
            return together, []
        inside = {self.population.organisations[member] for one in together for member in one.group.members}
        alone = candidates_of(self.signals, calibrated.standings)
        least = calibrated.account.score
        return together, [one for one in alone if one.score >= least and one.organisation not in inside]

    def alarming(self, calibrated: Calibrated | None) -> frozenset[str]:
        """All organisations that would be in a finding."""
        together, alone = self.reached(calibrated)
        inside = {self.population.organisations[member] for one in together for member in one.group.members}
        return frozenset(inside | {one.organisation for one in alone})


def candidates(windows: Windows) -> Candidates:
    population = Population(windows.whole)
    return Candidates(windows, population, campaigns(population), signals_of(windows.recent))


def calibrate(weeks: Mapping[int, Candidates], budget_per_week: float, *, left_out: Collection[str] = ()) -> Calibrated:
    """Fit on earlier weeks, by the day they end before; the last of them gives what is usual.

    `budget_per_week`: alarms that the operator wants at most; a half is for campaigns. `left_out`: organisations that
    are no part of ordinary traffic. Raises ValueError for a budget that is not above 0, or no week.
    """
    last = max(weeks)
    standings = fit_standings(weeks[last].signals, left_out)
    alone = {one.organisation: one.score for one in candidates_of(weeks[last].signals, standings)}
    together = {
        day: {one.population.organisations[int(each.group.members[0])]: each.score for each in reversed(one.campaigns)}
        for day, one in weeks.items()
    }
    return Calibrated(
        standings,
        fit({last - _WEEK: {}, last: alone}, budget_per_week / 2, left_out=left_out),  # its window has two weeks
        fit(together, budget_per_week / 2, lowest=_LOWEST_CAMPAIGN, left_out=left_out),
    )


def findings_of(found: Candidates, calibrated: Calibrated | None, *, found_at: int, version: str) -> list[Found]:
    """All that reach their threshold, campaigns first. `found_at`: UTC in microseconds."""
    together, alone = found.reached(calibrated)
    campaign, account = (None, None) if calibrated is None else (calibrated.campaign, calibrated.account)
    return [
        *(
            described_campaign(
                one, found.population, found_at=found_at, version=version, alarm_rate=_alarm_rate(campaign, one.score)
            )
            for one in together
        ),
        *(
            described_account(
                one,
                found.windows.recent,
                found_at=found_at,
                version=version,
                alarm_rate=_alarm_rate(account, one.score),
            )
            for one in alone
        ),
    ]


def _alarm_rate(threshold: Threshold | None, score: float) -> float | None:
    return None if threshold is None else threshold.expected_per_month(score)
