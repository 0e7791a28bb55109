"""The score from which on a person is called, so that this happens about as often as the operator wants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite, nextafter

import numpy as np

from stillroom.text.counted import counted
from stillroom.watch.calibration.tail import Tail, Values

Scores = Mapping[int, Mapping[str, float]]
"""By week, then by subject. A week in which nobody scored is there, and empty. Who is not in a week, or scores no more
than the lowest, was no candidate in it. Where one window of several weeks was scored, the others are there, and empty.

A subject is what a person would be called about once: an organisation, or a campaign by its lasting name."""
WEEKS_A_MONTH = 365.25 / 12 / 7
TAIL_SHARE, FEWEST_IN_TAIL, MOST_IN_TAIL = 0.1, 50, 500
ENOUGH_SEEN, ENOUGH_WEEKS, WIDEST = 20, 2, 4.0
LOOKED_AT = 10


@dataclass(frozen=True)
class Threshold:
    """A score of at least `score` alarms."""

    score: float
    budget_per_week: float
    tail: Tail
    candidates: int
    """Subjects that scored at all in the weeks that it was fitted on."""
    highest: tuple[tuple[str, float], ...]
    """The highest of them: a campaign among them would have raised the threshold for itself. Look at these, leave out
    who is confirmed, and fit again."""
    caveats: tuple[str, ...]
    """Sentences: why these weeks cannot support the budget. Empty where they can."""

    @property
    def expected_per_week(self) -> float:
        """How many new subjects a week reach `score`: never more than the budget, where that can be had."""
        return self.tail.expected_per_week(self.score)

    def expected_per_month(self, score: float) -> float | None:
        """How many subjects a month reach `score`; None for scores too low to have been kept."""
        if score < self.tail.above:
            return None
        return self.tail.expected_per_week(score) * WEEKS_A_MONTH

    def is_sound(self) -> bool:
        """Whether it can be worked with: its numbers are finite."""
        above_all = all(peak > self.tail.above for peak in self.tail.peaks)
        return above_all and self.tail.weeks > 0 and self.budget_per_week > 0 and self.score >= self.tail.above

    def with_names(self, names: Mapping[str, str]) -> Threshold:
        """The same, with other names for those that `names` has."""
        return replace(self, highest=tuple((names.get(name, name), score) for name, score in self.highest))


def fit(scores: Scores, budget_per_week: float, *, lowest: float = 0.0, left_out: Collection[str] = ()) -> Threshold:
    """The lowest threshold that is expected to be reached by at most `budget_per_week` new subjects a week.

    `lowest` is the score of who is no candidate at all; `left_out` are subjects that are known to be guilty, or the
    operator's own drills. A subject counts once, with its highest score: whoever alarms in two weeks is one finding.
    The threshold is never so low that more subjects of these very weeks would reach it than the budget allows. Raises
    ValueError for a score that is no finite number, no week at all, and a budget that is not above 0.
    """
    if not (budget_per_week > 0 and scores):
        raise ValueError(f"A budget of {budget_per_week} a week over {len(scores)} weeks: both must be above 0.")
    weeks = len(scores)
    subjects, peaks = _peaks(scores, lowest, left_out)
    allowed = int(budget_per_week * weeks)
    kept = max(min(ceil(TAIL_SHARE * len(peaks)), MOST_IN_TAIL), FEWEST_IN_TAIL, 2 * allowed)
    above = float(peaks[kept]) if kept < len(peaks) else lowest
    tail = Tail(above, weeks, tuple(peaks[peaks > above].tolist()))
    score = max(tail.score_for(budget_per_week), nextafter(lowest, inf))
    if allowed < len(peaks):
        score = max(score, nextafter(float(peaks[allowed]), inf))
    return Threshold(
        score=score,
        budget_per_week=budget_per_week,
        tail=tail,
        candidates=len(peaks),
        highest=tuple(zip(subjects[:LOOKED_AT], peaks[:LOOKED_AT].tolist(), strict=True)),
        caveats=tuple(_caveats(score, budget_per_week, tail, len(peaks))),
    )


def _peaks(scores: Scores, lowest: float, left_out: Collection[str]) -> tuple[list[str], Values]:
    """Subjects that scored more than `lowest`, and the highest score of each, highest first."""
    best: dict[str, float] = {}
    for week in scores.values():
        for subject, score in week.items():
            if not isfinite(score):
                raise ValueError(f"The score of {subject} is {score}, no finite number.")
            if score > best.get(subject, lowest) and subject not in left_out:
                best[subject] = float(score)
    ranked = sorted(best, key=lambda subject: (-best[subject], subject))
    return ranked, np.array([best[subject] for subject in ranked])


def _caveats(score: float, budget: float, tail: Tail, candidates: int) -> list[str]:
    caveats = []
    weeks = counted(round(tail.weeks), "week")
    low, high = tail.interval_per_week(score)
    if tail.weeks < ENOUGH_WEEKS:
        caveats.append(f"Only {weeks} was seen, which says nothing of how weeks differ.")
    if candidates == 0:
        caveats.append(f"Nobody scored in {weeks}: whoever does from now on alarms.")
    elif candidates < ENOUGH_SEEN:
        caveats.append(f"Only {candidates} scored at all in {weeks}: the threshold is a guess from these.")
    if candidates and not tail.peaks:
        caveats.append(
            f"Many share the highest score, {tail.above:g}, and nothing that scores as they do can be told apart."
        )
    if high > WIDEST * budget:
        caveats.append(
            f"A budget of {budget:g} a week is finer than {weeks} can tell: "
            f"between {low:.2g} and {high:.2g} alarms a week may come."
        )
    return caveats
