"""A threshold keeps its budget on traffic that it was not fitted on, and says when it cannot know."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stillroom.watch.calibration.threshold import Scores, fit

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def capped_evidence(draw: np.random.Generator, count: int) -> NDArray[np.float64]:
    """As detectors score: the sum over four families of -log10 of an upper tail, each capped at 3."""
    families: NDArray[np.float64] = np.minimum(-np.log10(draw.random((count, 4))), 3.0)
    return np.asarray(families.sum(axis=1))


def mostly_nobody(draw: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.asarray(draw.exponential(1.0, count) * (draw.random(count) < 0.1))


def lognormal(draw: np.random.Generator, count: int) -> NDArray[np.float64]:
    return draw.lognormal(0.0, 1.0, count)


def two_weeks(scores: NDArray[np.float64]) -> Scores:
    """All of them in the first week; in the second the same subjects again, a little lower."""
    return {
        0: {f"org{number}": float(score) for number, score in enumerate(scores)},
        1: {f"org{number}": float(score) * 0.9 for number, score in enumerate(scores)},
    }


@pytest.mark.parametrize("draw_scores", [capped_evidence, mostly_nobody, lognormal])
def test_what_alarms_later_is_what_the_budget_allows(draw_scores: Draw) -> None:
    draw = np.random.default_rng(1)
    many = draw_scores(draw, 500_000)
    a_week = []
    for _ in range(20):
        threshold = fit(two_weeks(draw_scores(draw, 2_000)), budget_per_week=1.0)
        a_week.append(float((many >= threshold.score).mean()) * 2_000 / 2)
        assert threshold.expected_per_week <= 1.0 + 1e-9
        assert not threshold.caveats
    assert 0.5 < np.mean(a_week) < 1.3


def test_a_small_budget_puts_the_threshold_above_anything_seen() -> None:
    draw = np.random.default_rng(2)
    scores = draw.exponential(1.0, 5_000)
    threshold = fit(two_weeks(scores), budget_per_week=0.2)
    assert threshold.score > scores.max()
    assert threshold.score < 3 * scores.max()


def test_a_subject_that_scores_in_many_weeks_counts_once() -> None:
    draw = np.random.default_rng(3)
    scores = {f"org{number}": float(score) for number, score in enumerate(draw.exponential(1.0, 500))}
    once: Scores = {0: scores, 1: {}, 2: {}, 3: {}}
    always: Scores = dict.fromkeys(range(4), scores)
    assert fit(once, 0.5).score == fit(always, 0.5).score


def test_of_the_weeks_themselves_no_more_reach_it_than_the_budget_allows() -> None:
    # A hundred ordinary ones and nine that score far higher: the tail of the hundred knows nothing of the nine.
    scores = {f"org{number}": 1.0 + number / 100 for number in range(100)}
    scores |= {f"odd{number}": 30.0 + number for number in range(9)}
    threshold = fit({0: scores, 1: {}}, budget_per_week=1.0)
    assert sum(score >= threshold.score for score in scores.values()) <= 2


def test_a_campaign_in_the_fit_weeks_is_shown_and_can_be_left_out() -> None:
    draw = np.random.default_rng(4)
    scores = {f"org{number}": float(score) for number, score in enumerate(draw.exponential(1.0, 1_000))}
    honest = fit({0: scores, 1: scores}, 0.25)
    campaign = {f"campaign{number}": 40.0 for number in range(5)}
    poisoned = fit({0: scores, 1: scores | campaign}, 0.25)
    assert poisoned.score > 40.0
    assert {subject for subject, _ in poisoned.highest[:5]} == set(campaign)
    assert fit({0: scores, 1: scores | campaign}, 0.25, left_out=set(campaign)) == honest


def test_where_nobody_scored_everybody_who_does_alarms_and_it_says_so() -> None:
    threshold = fit({0: {"quiet": 0.0}, 1: {}}, budget_per_week=1.0)
    assert 0.0 < threshold.score < 1e-300
    assert threshold.candidates == 0
    assert "Nobody scored" in threshold.caveats[0]
    assert threshold.expected_per_week == pytest.approx(0.25)  # half of one in two weeks


def test_few_candidates_give_a_high_threshold_and_a_caveat() -> None:
    scores: Scores = {0: {"a": 5.0}, 1: {"b": 6.0, "c": 7.0}}
    assert 7.0 < fit(scores, budget_per_week=0.5).score < 20.0
    few = fit(scores, budget_per_week=0.1)
    assert few.score > 20.0
    assert any("Only 3 scored" in caveat for caveat in few.caveats)
    assert any("finer than 2 weeks can tell" in caveat for caveat in few.caveats)


def test_one_week_is_not_enough_and_many_weeks_are() -> None:
    draw = np.random.default_rng(5)
    one = fit({0: two_weeks(draw.exponential(1.0, 500))[0]}, 2.0)
    assert any("Only 1 week was seen" in caveat for caveat in one.caveats)
    many = {week: {f"{week}-{number}": float(draw.exponential()) for number in range(50)} for week in range(26)}
    assert fit(many, 0.5).caveats == ()


def test_scores_that_hardly_differ_are_told_apart() -> None:
    scores = {f"org{number}": 5.0 + number * 1e-15 for number in range(60)}
    threshold = fit({0: scores, 1: {}}, 1.0)
    assert threshold.score > sorted(scores.values())[-3]
    assert threshold.score == pytest.approx(5.0)


def test_of_very_many_candidates_only_the_highest_are_kept() -> None:
    draw = np.random.default_rng(9)
    threshold = fit(two_weeks(draw.exponential(1.0, 50_000)), 1.0)
    assert threshold.candidates == 50_000
    assert len(threshold.tail.peaks) == 500


def test_a_score_with_a_ceiling_that_many_reach_is_told_of() -> None:
    threshold = fit({0: {f"org{number}": 12.0 for number in range(300)}, 1: {}}, 1.0)
    assert threshold.score == math.nextafter(12.0, math.inf)
    assert any("share the highest score" in caveat for caveat in threshold.caveats)


def test_an_alarm_rate_falls_with_the_score_and_meets_the_budget_at_the_threshold() -> None:
    draw = np.random.default_rng(6)
    threshold = fit(two_weeks(draw.exponential(1.0, 3_000)), 1.0)
    rates = [threshold.expected_per_month(threshold.score + more) for more in (0.0, 1.0, 2.0, 30.0)]
    known = [rate for rate in rates if rate is not None]
    assert len(known) == 4
    assert known == sorted(known, reverse=True)
    assert known[0] <= 365.25 / 12 / 7
    assert known[-1] < 0.01
    assert threshold.expected_per_month(threshold.tail.above - 0.1) is None


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(max_size=3), st.floats(-5, 1e6), max_size=80),
    st.floats(0.01, 20.0),
    st.integers(1, 8),
)
def test_any_scores_give_a_threshold(scores: dict[str, float], budget: float, weeks: int) -> None:
    threshold = fit({week: scores if week == 0 else {} for week in range(weeks)}, budget)
    assert math.isfinite(threshold.score)
    assert threshold.score > 0
    assert sum(score >= threshold.score for score in scores.values()) <= int(budget * weeks)


@pytest.mark.parametrize("budget", [0.0, -1.0, math.nan])
def test_a_budget_is_above_nought(budget: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        fit({0: {"a": 1.0}}, budget)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_is_a_finite_number(score: float) -> None:
    with pytest.raises(ValueError, match="The score of a is"):
        fit({0: {"a": score}}, 1.0)


def test_no_weeks_are_no_traffic() -> None:
    with pytest.raises(ValueError, match="over 0 weeks"):
        fit({}, 1.0)
