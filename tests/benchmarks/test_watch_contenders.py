"""The contenders keep the budget they are given, and each sees what it is made to see."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.watch_contenders.contender import DAY_US, Contender, agreements, calls_in, windows
from benchmarks.watch_contenders.every import every_contender

from stillroom.testing.traffic import Campaign, Traffic, benign, campaign

NAMES = [contender.name for contender in every_contender(1.0)]


@cache
def traffic() -> Traffic:
    return benign(5, organisations=80, calls_per_organisation=300, twins=())


def days(since: int, until: int) -> range:
    first = traffic().start_at // DAY_US
    return range(first + since, first + until)


@cache
def fitted(name: str) -> Contender:
    contender = next(each for each in every_contender(1.0) if each.name == name)
    contender.fit(traffic(), days(0, 14))
    return contender


def one_account(calls: int) -> Traffic:
    """All of it in the judge weeks."""
    setting = Campaign("loud", questions=calls, accounts=1, bank="word_problems", start_day=14, days=14)
    return campaign(setting, 5, traffic())


def with_sketches(made: Traffic, sketches: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Traffic:
    minhash = pa.array([row.tobytes() for row in sketches], pa.binary(64))
    return replace(made, sketches=made.sketches.set_column(1, made.sketches.schema.field(1), minhash))


@pytest.mark.parametrize("name", NAMES)
def test_on_later_weeks_about_as_many_alarm_as_the_budget_allows(name: str) -> None:
    assert len(fitted(name).alarms(traffic(), days(14, 28))) <= 6  # two are expected


@pytest.mark.parametrize("name", NAMES)
def test_a_campaign_alone_is_judged_as_it_is_among_others(name: str) -> None:
    overlaid = one_account(400)
    alone = fitted(name).alarms(overlaid, days(14, 28))
    among = fitted(name).alarms(traffic().with_traffic(overlaid), days(14, 28))
    assert among == alone | fitted(name).alarms(traffic(), days(14, 28))


def test_the_volume_rule_sees_an_account_that_calls_far_more_than_any_other() -> None:
    assert len(fitted("volume").alarms(one_account(120_000), days(14, 28))) == 1
    assert not fitted("volume").alarms(one_account(100), days(14, 28))


def test_the_window_test_sees_an_account_that_asks_one_thing_over_and_over() -> None:
    made = one_account(400)
    draw = np.random.default_rng(3)
    same = np.repeat(draw.integers(0, 256, (1, 64), dtype=np.uint8), len(made.sketches), axis=0)
    assert len(fitted("MMD on sketches").alarms(with_sketches(made, same), days(14, 28))) == 1


def test_prada_tells_normal_distances_from_others() -> None:
    made = one_account(400)
    draw = np.random.default_rng(3)
    count = len(made.sketches)
    unlike = draw.integers(0, 256, (count, 64), dtype=np.uint8)
    alike = np.where(draw.random((count, 64)) < 0.5, unlike, unlike[:1])  # each half like the first

    def score(sketches: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> float:
        found = fitted("PRADA on sketches").scores(with_sketches(made, sketches), days(14, 28))
        return max(score for week in found.values() for score in week.values())

    assert abs(score(alike) - score(unlike)) > 0.5


def test_calls_that_a_permit_covers_are_outside_everything() -> None:
    made = one_account(400)
    permitted = made.calls.set_column(
        made.calls.schema.get_field_index("permit_id"), "permit_id", pa.array(["permit"] * len(made.calls))
    )
    assert len(calls_in(made, days(0, 28))) == len(made.calls)
    assert len(calls_in(replace(made, calls=permitted), days(0, 28))) == 0


def test_windows_are_runs_of_one_accounts_calls() -> None:
    found = list(windows(traffic(), days(0, 14)))
    assert found
    assert all(50 <= len(window.sketches) <= 500 for window in found)
    assert {window.week for window in found} == {0, 1}


def test_agreements_are_counted_place_by_place() -> None:
    draw = np.random.default_rng(1)
    one, other = draw.integers(0, 3, (4, 64), dtype=np.uint8), draw.integers(0, 3, (7, 64), dtype=np.uint8)
    expected = [[int((mine == theirs).sum()) for theirs in other] for mine in one]
    assert agreements(one, other).tolist() == expected
