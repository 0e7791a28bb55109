"""What the benchmark of detectors is measured against: rules on one account, with thresholds fitted as stillroom's are.

A contender gets what stillroom gets: calls without their texts, the fit weeks to learn from, and the same budget of
alarms. The benign traffic of a seed is judged once; a campaign's own traffic is judged alone, which is the same, since
no contender looks at two accounts at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stillroom.store.calls import SKETCH_BYTES
from stillroom.testing.traffic import Traffic
from stillroom.watch.calibration.threshold import Scores, Threshold, fit

Sketches = npt.NDArray[np.uint8]
DAY_US = 86_400_000_000
LONGEST_WINDOW, SHORTEST_WINDOW = 500, 50
"""Calls. The published test has windows of 1,500 from all accounts together; few accounts make so many in two weeks."""


class Rule(Protocol):
    """Scores organisations; the threshold is not its business."""

    name: str

    def learn(self, traffic: Traffic, fit_days: range) -> Scores:
        """Of the weeks that it learns from."""
        ...

    def scores(self, traffic: Traffic, days: range) -> Scores:
        """By week, then by organisation: above 0, and higher is more suspicious. After `learn`."""
        ...


class Contender:
    """A rule with a threshold that is expected to alarm on `budget_per_week` new organisations a week.

    Days are numbered from 1970-01-01 in UTC, as in stillroom's own windows.
    """

    def __init__(self, rule: Rule, budget_per_week: float) -> None:
        self.name = rule.name
        self.threshold: Threshold | None = None
        self._rule = rule
        self._budget_per_week = budget_per_week

    def fit(self, traffic: Traffic, fit_days: range) -> None:
        self.threshold = fit(self._rule.learn(traffic, fit_days), self._budget_per_week)

    def scores(self, traffic: Traffic, days: range) -> Scores:
        """After `fit`."""
        return self._rule.scores(traffic, days)

    def alarms(self, traffic: Traffic, judge_days: range) -> set[str]:
        """The organisations that ever alarm in these days. After `fit`."""
        assert self.threshold is not None, "fit it first"
        weeks = self.scores(traffic, judge_days)
        alarming = self.threshold.score
        return {name for scores in weeks.values() for name, score in scores.items() if score >= alarming}


@dataclass(frozen=True, slots=True)
class Window:
    """Some calls of one account that follow each other."""

    organisation: str
    week: int
    """Of its last call."""
    sketches: Sketches
    """(calls, 64), in the order of the calls."""


def calls_in(traffic: Traffic, days: range) -> pa.Table:
    """Those that no permit covers, by their time: call_id, at, account, organisation."""
    calls = traffic.calls
    is_in = pc.and_(
        pc.and_(
            pc.greater_equal(calls["at"], pa.scalar(days.start * DAY_US)),
            pc.less(calls["at"], pa.scalar(days.stop * DAY_US)),
        ),
        pc.is_null(calls["permit_id"]),
    )
    return calls.select(["call_id", "at", "account", "organisation"]).filter(is_in).sort_by("at")


def weeks_of(calls: pa.Table, days: range) -> npt.NDArray[np.int64]:
    """Of each call, from 0."""
    return (calls["at"].to_numpy() // DAY_US - days.start) // 7


def sketched(traffic: Traffic, calls: pa.Table) -> tuple[pa.Table, Sketches]:
    """The calls that have a sketch, and those."""
    place = pc.index_in(calls["call_id"], traffic.sketches["call_id"])
    calls = calls.filter(pc.is_valid(place))
    minhash = traffic.sketches["minhash"].take(place.drop_null())
    values = np.frombuffer(b"".join(cast("list[bytes]", minhash.to_pylist())), np.uint8)
    return calls, values.reshape(-1, SKETCH_BYTES)


def windows(traffic: Traffic, days: range) -> Iterator[Window]:
    """Each account's calls in runs of LONGEST_WINDOW; a shorter rest of SHORTEST_WINDOW or more is one too."""
    calls, sketches = sketched(traffic, calls_in(traffic, days))
    weeks = weeks_of(calls, days)
    accounts = calls["account"].combine_chunks().dictionary_encode().indices.to_numpy()
    organisations = calls["organisation"].to_pylist()
    order = np.argsort(accounts, kind="stable")
    starts = np.flatnonzero(np.diff(accounts[order], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
        for first in range(start, end, LONGEST_WINDOW):
            rows = order[first : min(first + LONGEST_WINDOW, end)]
            if len(rows) >= SHORTEST_WINDOW:
                yield Window(organisations[rows[0]], int(weeks[rows[-1]]), sketches[rows])


def by_week(days: range, found: Iterator[tuple[int, str, float]]) -> Scores:
    """Of scores of (week, organisation), the highest of each."""
    scores: dict[int, dict[str, float]] = {week: {} for week in range(len(days) // 7)}
    for week, organisation, score in found:
        scores[week][organisation] = max(score, scores[week].get(organisation, 0.0))
    return scores


def agreements(one: Sketches, other: Sketches) -> npt.NDArray[np.uint8]:
    """(calls of one, calls of the other): in how many of the 64 places two sketches agree."""
    counts = np.zeros((len(one), len(other)), np.uint8)
    equal = np.empty(counts.shape, np.bool_)
    for mine, theirs in zip(one.T, other.T, strict=True):
        np.equal.outer(mine, theirs, out=equal)
        counts += equal
    return counts
