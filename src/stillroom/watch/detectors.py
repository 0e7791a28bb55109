"""From windows to findings: organisations that stand out alone, and organisations that act as one.

What each organisation does is held against the operator's own earlier weeks (`Calibrated`); what they do together is
tested against chance, and a threshold on how much they took together keeps the operator's budget of alarms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import log10

from stillroom.watch.calibration.threshold import Threshold, fit
from stillroom.watch.campaigns import Campaign, campaigns
from stillroom.watch.describe import described_account, described_campaign
from stillroom.watch.links.population import Population
from stillroom.watch.review.found import Found
from stillroom.watch.signals.candidates import candidates_of
from stillroom.watch.signals.measure import Signals, signals_of
from stillroom.watch.signals.standing import Standings, fit_standings
from stillroom.watch.window import Window

DETECTOR_VERSION = "1"
RECENT_DAYS, WHOLE_DAYS = 14, 28
"""How far back an organisation alone is looked at, and how far groups are."""
FEWEST_QUESTIONS = 300
"""Of a campaign. Below it, what was taken is not worth a person's look, whatever the budget."""
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


def calibrate(
    weeks: Mapping[int, Windows], budget_per_week: float, *, left_out: Collection[str] = ()
) -> tuple[Calibrated, Signals]:
    """Fit on earlier weeks, by the day they end before; the last of them gives the standings. And its signals.

    `budget_per_week`: alarms that the operator wants at most; a half is for campaigns. `left_out`: organisations that
    are no part of ordinary traffic. Raises ValueError for a budget that is not above 0, or no week.
    """
    last = max(weeks)
    signals = signals_of(weeks[last].recent)
    standings = fit_standings(signals, left_out)
    alone = {last: {one.organisation: one.score for one in candidates_of(signals, standings)}}
    together = {day: _named(Population(windows.whole)) for day, windows in weeks.items()}
    return Calibrated(
        standings,
        fit(alone, budget_per_week / 2, left_out=left_out),
        fit(together, budget_per_week / 2, lowest=_LOWEST_CAMPAIGN, left_out=left_out),
    ), signals


def detect(windows: Windows, calibrated: Calibrated | None, *, found_at: int, version: str) -> list[Found]:
    """All that reach their threshold: campaigns, then organisations that are in none. Highest score first.

    `found_at`: UTC in microseconds.
    """
    population = Population(windows.whole)
    threshold = None if calibrated is None else calibrated.campaign
    lowest = _LOWEST_CAMPAIGN if threshold is None else max(threshold.score, _LOWEST_CAMPAIGN)
    reached = [one for one in campaigns(population) if one.score >= lowest]
    found = [
        described_campaign(
            one, population, found_at=found_at, version=version, alarm_rate=_alarm_rate(threshold, one.score)
        )
        for one in reached
    ]
    if calibrated is not None:
        inside = {name for one in found for name in one.finding.organisations}
        found += _alone(windows.recent, calibrated, inside, found_at, version)
    return found


def _alone(window: Window, calibrated: Calibrated, inside: Collection[str], found_at: int, version: str) -> list[Found]:
    threshold = calibrated.account
    return [
        described_account(one, window, found_at=found_at, version=version, alarm_rate=_alarm_rate(threshold, one.score))
        for one in candidates_of(signals_of(window), calibrated.standings)
        if one.score >= threshold.score and one.organisation not in inside
    ]


def _alarm_rate(threshold: Threshold | None, score: float) -> float | None:
    return None if threshold is None else threshold.expected_per_month(score)


def _named(population: Population) -> dict[str, float]:
    """Scores of a window's groups, by the first of their organisations: the same one in most weeks."""
    return {_name(one, population): one.score for one in reversed(campaigns(population))}


def _name(campaign: Campaign, population: Population) -> str:
    return population.organisations[int(campaign.group.members[0])]
