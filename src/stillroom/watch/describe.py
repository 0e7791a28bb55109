"""Candidates as findings: who, what, how they are tied, what speaks against it, and the charts that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from stillroom.base.records import Finding
from stillroom.watch import sentences
from stillroom.watch.campaigns import Campaign
from stillroom.watch.links.population import Population
from stillroom.watch.review.found import Found
from stillroom.watch.review.from_window import charts_of, members_of
from stillroom.watch.signals.candidates import AccountCandidate
from stillroom.watch.window import Window

DAY_US = 86_400_000_000


def described_campaign(
    campaign: Campaign, population: Population, *, found_at: int, version: str, alarm_rate: float | None
) -> Found:
    """`found_at`: UTC in microseconds; `version`: the detector's; `alarm_rate`: of this score or more, a month."""
    group, window = campaign.group, population.window
    of_member = {int(member): population.known.accounts_of(int(member)) for member in group.members}
    links = {tie.kind: [one for member in tie.linked for one in of_member[int(member)]] for tie in group.ties}
    accounts = tuple(sorted(one for each in of_member.values() for one in each))
    members = members_of(window, accounts, links)
    finding = Finding(
        id=_new_id("campaign", accounts, window),
        kind="campaign",
        accounts=accounts,
        organisations=tuple(population.organisations[member] for member in of_member),
        since_at=window.since_day * DAY_US,
        until_at=window.until_day * DAY_US,
        found_at=found_at,
        score=round(campaign.score, 3),
        alarm_rate=alarm_rate,
        signals=tuple(sentences.signals(group, population)),
        links=tuple(sentences.link(tie, len(group.members)) for tie in group.ties),
        explanations=campaign.explanations,
        against=tuple(sentences.against(group)),
        calls=group.calls,
        questions=group.questions if group.contents else None,
        permits=_permits(window, accounts),
        permitted_calls=sum(member.permitted_calls for member in members),
        calls_root=window.calls_root,
        detector_version=version,
    )
    values = frozenset(f"{tie.family}:{tie.kind}:{value}" for tie in group.ties for value in tie.values)
    return Found(finding, charts_of(window, accounts), members, values)


def described_account(
    candidate: AccountCandidate, window: Window, *, found_at: int, version: str, alarm_rate: float | None
) -> Found:
    """As `described_campaign`, of one organisation alone."""
    accounts = tuple(sorted(candidate.accounts))
    finding = Finding(
        id=_new_id("account", accounts, window),
        kind="account",
        accounts=accounts,
        organisations=(candidate.organisation,),
        since_at=window.since_day * DAY_US,
        until_at=window.until_day * DAY_US,
        found_at=found_at,
        score=round(candidate.score, 3),
        alarm_rate=alarm_rate,
        signals=candidate.signals,
        links=(),
        explanations=candidate.explanations,
        against=candidate.against,
        calls=candidate.calls,
        questions=candidate.questions,
        permits=_permits(window, accounts),
        permitted_calls=candidate.permitted_calls,
        calls_root=window.calls_root,
        detector_version=version,
    )
    return Found(finding, charts_of(window, accounts), members_of(window, accounts, _NO_LINKS))


_NO_LINKS: Mapping[str, Sequence[str]] = {}


def _permits(window: Window, accounts: tuple[str, ...]) -> tuple[str, ...]:
    """Those under which these accounts made other calls."""
    keys = window.keys.filter(pc.field("kind") == "permit")
    mine = keys.filter(pc.is_in(keys["account"], value_set=pa.array(accounts, pa.string())))
    return tuple(sorted({str(value) for value in mine["value"].to_pylist()}))


def _new_id(kind: str, accounts: tuple[str, ...], window: Window) -> str:
    """Of a finding that was not seen before: the store gives one that it knows the id that it has."""
    return f"{kind}-{sha256(repr((accounts, window.until_day)).encode()).hexdigest()[:12]}"
