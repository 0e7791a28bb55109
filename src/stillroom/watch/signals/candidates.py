"""Organisations whose own calls stand out, in their content and in time, where no benign explanation covers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stillroom.base.errors import DataError
from stillroom.base.records import Explanation, FindingSignal
from stillroom.watch.signals.definitions import BY_NAME, SIGNALS
from stillroom.watch.signals.explanations import Tested, explanations_of
from stillroom.watch.signals.measure import Signals
from stillroom.watch.signals.organisations import Column
from stillroom.watch.signals.sentences import Seen
from stillroom.watch.signals.standing import Standings, evidence_by_signal, strongest_by_family

LEAST_CONTENT, LEAST_OTHER = 1.0, 0.7
"""Evidence of a family that counts: one organisation in ten has as much in its content, one in five elsewhere."""
TOLD_EVIDENCE = 1.0
"""Of a signal that a finding names."""


@dataclass(frozen=True, slots=True)
class AccountCandidate:
    """One organisation that a person might be asked to look at; `score` says before how many others."""

    organisation: str
    accounts: tuple[str, ...]
    score: float
    """Evidence of content and of other families together: -log10 of the share of organisations that show as much, 6
    a family at most, and no more from others than from content."""
    evidence: Mapping[str, float]
    """By family."""
    signals: tuple[FindingSignal, ...]
    """What stands out, the strongest first."""
    explanations: tuple[Explanation, ...]
    against: tuple[str, ...]
    calls: int
    permitted_calls: int
    questions: int | None
    """Different questions of a bank, where it asked any."""


def candidates_of(signals: Signals, standings: Standings) -> list[AccountCandidate]:
    """All that have evidence in their content and in time, by falling score.

    `standings` are of windows as long as the one that `signals` are of: DataError otherwise.
    """
    if signals.days != standings.days:
        raise DataError(
            f"The window has {signals.days} days, and the standings are of windows of {standings.days} days.",
            "Fit standings on windows of the same length.",
        )
    evidence = evidence_by_signal(signals, standings.signals)
    names = signals.organisations.names
    _, before = scores(evidence, names, standings)
    found = []
    for organisation in np.flatnonzero(before > 0):
        candidate = _candidate(signals, standings, evidence, int(organisation))
        if candidate is not None:
            found.append(candidate)
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.organisation))


def scores(
    evidence: Mapping[str, Column], names: Sequence[str], standings: Standings
) -> tuple[dict[str, Column], Column]:
    """Evidence of each family against the fit weeks', and the score: 0 without content, or with content alone.

    Another family adds no more than content does: what is merely large is no finding.
    """
    families = {
        # The best of many is less telling than it seems, and never more.
        family: np.minimum(standings.families[family].evidence(strongest, names), strongest)
        for family, strongest in strongest_by_family(evidence).items()
        if family in standings.families
    }
    if "content" not in families:
        return families, np.zeros(0)
    content = families["content"]
    others = [np.where(each >= LEAST_OTHER, each, 0) for family, each in families.items() if family != "content"]
    beside = np.minimum(np.sum(others, axis=0), content) if others else np.zeros(len(content))
    return families, np.where((content >= LEAST_CONTENT) & (beside > 0), content + beside, 0.0)


def _candidate(
    signals: Signals, standings: Standings, evidence: Mapping[str, Column], organisation: int
) -> AccountCandidate | None:
    seen = signals.seen(organisation)
    tested = explanations_of(seen)
    covered = frozenset[str]().union(*(each.covers for each in tested if each.holds))
    own = {name: column[organisation : organisation + 1] for name, column in evidence.items()}
    left = {name: np.zeros(1) if name in covered else column for name, column in own.items()}
    families, score = scores(left, [signals.organisations.names[organisation]], standings)
    if score[0] <= 0:
        return None
    return AccountCandidate(
        organisation=signals.organisations.names[organisation],
        accounts=signals.organisations.accounts_of(organisation),
        score=float(score[0]),
        evidence={family: float(each[0]) for family, each in families.items()},
        signals=_told(seen, standings, {name: float(column[0]) for name, column in left.items()}),
        explanations=tuple(each.as_record() for each in tested),
        against=_against(seen, tested),
        calls=int(seen.numbers["calls"]),
        permitted_calls=int(seen.numbers["permitted_calls"]),
        questions=int(seen.numbers["bank_questions"]) if seen.labels["bank"] is not None else None,
    )


def _told(seen: Seen, standings: Standings, evidence: Mapping[str, float]) -> tuple[FindingSignal, ...]:
    named = sorted((name for name, each in evidence.items() if each >= TOLD_EVIDENCE), key=lambda name: -evidence[name])
    return tuple(
        FindingSignal(
            name=name,
            family=BY_NAME[name].family,
            value=seen.numbers[name],
            standing=float(standings.signals[name].standing(np.array([seen.numbers[name]]))[0]),
            sentence=BY_NAME[name].sentence(seen),
        )
        for name in named
    )


def _against(seen: Seen, tested: tuple[Tested, ...]) -> tuple[str, ...]:
    said = [f"It may be {_article(each.name)}. {each.sentence}" for each in tested if not each.is_ruled_out]
    absent = [signal.name for signal in SIGNALS if np.isnan(seen.numbers[signal.name])]
    if absent:
        said.append(
            f"Not known of it, for want of columns, calls or days: {', '.join(_words(name) for name in absent)}."
        )
    if seen.numbers["active_days"] <= 3:
        said.append(f"It called on {seen.count('active_days')} days only.")
    if seen.numbers["permitted_calls"]:
        said.append(f"{seen.count('permitted_calls')} more of its calls carried a permit.")
    return tuple(said)


def _article(name: str) -> str:
    if name == "tutoring":
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _words(name: str) -> str:
    return name.replace("_", " ")
