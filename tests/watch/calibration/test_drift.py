"""Drift is seen where there is some, and not where there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from stillroom.watch.calibration.drift import baseline, drift, drifts

DRAW = np.random.default_rng(20_261_126)


def test_the_same_traffic_again_has_not_drifted() -> None:
    kinds: dict[str, Callable[[int], NDArray[np.float64]]] = {
        "smooth": lambda size: DRAW.lognormal(0, 2, size),
        "mostly nought": lambda size: DRAW.exponential(1, size) * (DRAW.random(size) < 0.2),
        "few values": lambda size: DRAW.integers(0, 3, size).astype(float),
        "half absent": lambda size: np.where(DRAW.random(size) < 0.5, np.nan, DRAW.normal(size=size)),
        "always the same": lambda size: np.ones(size),
        "never there": lambda size: np.full(size, np.nan),
    }
    for size in (60, 500, 4_000):
        for name, values in kinds.items():
            for _ in range(20):
                found = drift(name, baseline(values(size)), values(size))
                assert found.level == "none", found.sentence


@pytest.mark.parametrize(("shift", "level"), [(0.05, "none"), (0.4, "some"), (1.0, "much")])
def test_how_far_it_moved_is_what_counts(shift: float, level: str) -> None:
    before, now = DRAW.normal(size=4_000), DRAW.normal(shift, size=4_000)
    found = drift("volume", baseline(before), now)
    assert found.level == level
    assert found.distance == pytest.approx(ks_2samp(before, now).statistic, abs=0.01)
    assert found.median_now == pytest.approx(np.median(now))


def test_a_spread_that_widens_is_drift_although_the_median_stays() -> None:
    assert drift("gaps", baseline(DRAW.normal(size=3_000)), DRAW.normal(0, 2.5, 3_000)).level == "much"


def test_a_value_that_no_one_had_before_is_drift() -> None:
    before = np.zeros(1_000)
    now = np.where(DRAW.random(1_000) < 0.3, 5.0, 0.0)
    found = drift("coverage", baseline(before), now)
    assert found.level == "much"
    assert found.distance == pytest.approx((now > 0).mean())


def test_a_signal_whose_column_went_missing_has_drifted_and_says_why() -> None:
    before = DRAW.normal(size=500)
    found = drift("address", baseline(before), np.full(500, np.nan))
    assert found.level == "much"
    assert (found.distance, found.median_now) == (None, None)
    assert "absent for 100% of organisations and was for 0%" in found.sentence


def test_a_few_organisations_tell_nothing() -> None:
    found = drift("volume", baseline(DRAW.normal(size=20)), DRAW.normal(5, size=20))
    assert (found.level, found.stability_index) == ("too few", None)
    assert "too few to tell" in found.sentence


def test_the_worst_comes_first_and_signals_of_one_side_are_among_them() -> None:
    before = {name: baseline(DRAW.normal(size=900)) for name in ("same", "moved", "gone")}
    now = {"same": DRAW.normal(size=900), "moved": DRAW.normal(1.0, size=900), "new": DRAW.normal(size=900)}
    found = drifts(before, now)
    assert {each.name for each in found[:3]} == {"gone", "moved", "new"}
    assert all(each.level == "much" for each in found[:3])
    assert found[3].name == "same"
    assert (found[0].absent_before, found[0].absent_now) in {(0.0, 1.0), (1.0, 0.0)}


def test_nothing_on_either_side_is_no_drift() -> None:
    assert drifts({}, {}) == ()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(allow_infinity=False, width=32), max_size=120),
    st.lists(st.floats(allow_infinity=False, width=32), max_size=120),
)
def test_any_values_can_be_compared(before: list[float], now: list[float]) -> None:
    found = drift("any", baseline(np.array(before)), np.array(now))
    assert found.stability_index is None or found.stability_index >= 0
    assert found.distance is None or 0 <= found.distance <= 1
    assert found.sentence


def test_an_infinite_value_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        baseline(np.array([1.0, np.inf]))
